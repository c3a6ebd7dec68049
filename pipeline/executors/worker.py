"""What a worker process does with a task, on this machine or on one of a Ray cluster."""

from pathlib import Path

from pipeline import networks
from pipeline.data.digits import Digits
from pipeline.executors.tasks import Task
from pipeline.training import hardware
from pipeline.training.events import OnEvent, failures_as_events
from pipeline.training.loop import train_member


def run_task(task: Task, labelled: Digits, scratch: Path, on_event: OnEvent) -> None:
    """Prepare this process's devices and train the task's member. A failure becomes an event.

    `scratch` is a folder for temporary files. Raises what `failures_as_events` lets through.
    """
    with failures_as_events(task.member.index, on_event):
        if task.recipe.members.gpus == 0:  # a Ray worker has the environment of its own machine
            hardware.hide_gpus()
        prepared = hardware.prepare(task.recipe.training, task.threads)
        if task.network_source is not None:
            networks.register_file(task.network_source)
        train_member(
            task.recipe,
            task.member,
            *task.rows(labelled),
            hardware=prepared,
            scratch=scratch,
            on_event=on_event,
            resume=task.resume,
        )
