"""The executor `serial`: one member after another, in the process that holds the run."""

from collections import deque

from pipeline.executors.tasks import Work
from pipeline.training.events import Event, Failed, failures_as_events
from pipeline.training.loop import train_member


def train_all(work: Work) -> None:
    """Train each member. A member to try again comes after the others."""
    waiting = deque(work.tasks)

    def on_event(event: Event) -> None:
        work.on_event(event)
        if isinstance(event, Failed) and (task := work.retry(event)):
            waiting.append(task)

    while waiting:
        task = waiting.popleft()
        with failures_as_events(task.member.index, on_event):
            train_member(
                task.recipe,
                task.member,
                *task.rows(work.labelled),
                hardware=work.hardware,
                scratch=work.scratch,
                on_event=on_event,
                resume=task.resume,
            )
