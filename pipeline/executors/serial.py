"""The executor `serial`: one member after another, in the process that holds the run."""

from collections import deque

from pipeline.executors.events import Failed, Message, Work
from pipeline.executors.worker import Teller, train


def train_all(work: Work) -> None:
    """Train each member in its folder of the run; one to try again comes after the others."""
    waiting = deque(work.tasks)

    def hear(message: Message) -> None:
        work.hear(message)
        if isinstance(message, Failed) and (task := work.again(message)):
            waiting.append(task)

    while waiting:
        task = waiting.popleft()
        folder = work.folder_of(task.member.index)
        train(task, work.labelled, folder, work.found, Teller(task.member, hear))
