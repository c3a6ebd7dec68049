"""One task, whoever does it: a member trained, and what happens told as messages.

A worker in another process trains in a folder of its own and sends every epoch's files along: the
run's folder has one writer, the process that holds the run.
"""

import errno
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.data.digits import Digits, select
from pipeline.executors.events import (
    Began,
    Files,
    Finished,
    Hear,
    Kept,
    Saved,
    Stepped,
    Task,
    failure,
)
from pipeline.runs import RESUME_FILE, Member
from pipeline.training import hardware
from pipeline.training.hardware import Hardware
from pipeline.training.loop import train_member

STEPS_TOLD_EVERY = 0.25
"""Seconds between two messages of steps, which only move a bar."""


class Teller:
    """Turns what a member in training does into messages, in the process that holds the run."""

    def __init__(self, member: Member, hear: Hear) -> None:
        self.hear = hear
        self.member = member
        self._device = ""
        self._told_at = 0.0

    def kept(self, member: Member) -> None:
        """Note how far the member has come, and where."""
        where = {"host": socket.gethostname(), "process": os.getpid(), "device": self._device}
        self.member = member.model_copy(update=where)
        self._pass_on()

    def began(self, device: str, epoch: int, steps: int) -> None:
        """Tell that training begins or goes on."""
        self._device = device
        self.kept(self.member)
        self.hear(Began(self.member.index, self.member, steps))

    def stepped(self, epoch: int, step: int) -> None:
        """Tell of steps, but not of each."""
        if time.monotonic() - self._told_at >= STEPS_TOLD_EVERY:
            self._told_at = time.monotonic()
            self.hear(Stepped(self.member.index, epoch, step))

    def saved(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Tell that an epoch is over."""
        self.hear(Saved(self.member.index, self.member, epoch, metrics, self._files()))

    def _pass_on(self) -> None:
        self.hear(Kept(self.member.index, self.member))

    def _files(self) -> Files:
        """Return the files that the run's folder does not have: none, the member trains in it."""
        return {}


class DistantTeller(Teller):
    """A Teller of a member that trains in `folder`, which only this process reads.

    How far the member has come is told together with the files of the epoch.
    """

    def __init__(self, member: Member, hear: Hear, folder: Path) -> None:
        super().__init__(member, hear)
        self._folder = folder
        self._sent: set[str] = set()

    def _pass_on(self) -> None:
        pass

    def _files(self) -> Files:
        """Return history, resume file, and the checkpoints that were not sent before."""
        checkpoints = {
            path.relative_to(self._folder).as_posix()
            for path in (self._folder / "checkpoints").glob("*.keras")
        }
        wanted = {"history.csv", RESUME_FILE} | (checkpoints - self._sent)
        self._sent |= checkpoints
        return {name: (self._folder / name).read_bytes() for name in sorted(wanted)}


NOT_ITS_OWN = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    errno.EPIPE,
)
"""What is wrong with the disk, or with who reads the output, and not with a member.

Another member would fare no better.
"""


def train(task: Task, labelled: Digits, folder: Path, found: Hardware, teller: Teller) -> None:
    """Train a member in `folder` on this process's devices; tell how that ended.

    Of what can go wrong only an OSError of NOT_ITS_OWN is raised, and what is no Exception, as on
    Ctrl-C.
    """
    split, index = task.split, task.member.index
    try:
        training, validation = (
            select(labelled, rows) for rows in (split.train_rows, split.validation_rows)
        )
        train_member(task.recipe, training, validation, folder, found, teller, task.member)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NOT_ITS_OWN:
            raise
        teller.hear(failure(index, error))
    else:
        teller.hear(Finished(index, teller.member))


def train_apart(task: Task, labelled: Digits, hear: Hear, scratch: Path | None = None) -> None:
    """Train a member in a folder of its own, made below `scratch`; raises what `train` does."""
    if task.recipe.members.gpus == 0:  # a Ray worker has the environment of its own machine
        hardware.hide_gpus()
    found = hardware.prepare(task.recipe.training, task.threads)
    with TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        if task.resume is not None:
            (folder / RESUME_FILE).write_bytes(task.resume)
        train(task, labelled, folder, found, DistantTeller(task.member, hear, folder))
