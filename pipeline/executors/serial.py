"""The executor `serial`: one member after another, in the process that holds the run."""

from collections import deque

from pipeline.executors.tasks import Work
from pipeline.executors.worker import run_task
from pipeline.training.events import Event, Failed


def train_all(work: Work) -> None:
    """Train each member. A member to try again comes after the others."""
    waiting = deque(work.tasks)

    def on_event(event: Event) -> None:
        work.on_event(event)
        if isinstance(event, Failed) and (task := work.retry(event)):
            waiting.append(task)

    while waiting:
        run_task(waiting.popleft(), work.labelled, work.scratch, on_event, work.hardware)
