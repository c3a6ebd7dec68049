"""The executor `serial`: one member after another, in the process that holds the run."""

from pipeline.members.messages import Work
from pipeline.members.worker import Teller, train


def train_all(work: Work) -> None:
    """Train each member in its folder of the run."""
    for task in work.tasks:
        member = task.member
        teller = Teller(member, work.hear)
        train(task, work.labelled, work.folder_of(member.index), work.found, teller)
