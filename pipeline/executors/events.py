"""What goes to whoever trains a member, and what comes back."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.common.errors import DivergedError, PipelineError
from pipeline.data.digits import Digits
from pipeline.data.split import Split
from pipeline.executors.plan import Arrangement
from pipeline.recipe import Recipe
from pipeline.runs import RESUME_FILE, Member

if TYPE_CHECKING:
    from pipeline.training.hardware import Hardware

Files = Mapping[str, bytes]
"""Contents by their paths below the member's folder."""


@dataclass(frozen=True)
class Task:
    """A member to train, or to go on with from `resume`, the bytes of its resume file."""

    recipe: Recipe
    member: Member
    split: Split
    threads: int | None
    resume: bytes | None = None


@dataclass(frozen=True)
class Message:
    """Something that a member, known by its `index`, did."""

    index: int


@dataclass(frozen=True)
class Began(Message):
    """It began, or went on after so many epochs, as `member` says, in `steps` steps an epoch."""

    member: Member
    steps: int


@dataclass(frozen=True)
class Stepped(Message):
    """Of an epoch, counted from 1, so many steps are done."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Kept(Message):
    """It has come as far as `member` says; of an epoch not all is saved yet."""

    member: Member


@dataclass(frozen=True)
class Saved(Message):
    """An epoch is over. Elsewhere than in the run's folder its files come along."""

    member: Member
    epoch: int
    metrics: Mapping[str, float]
    files: Files


@dataclass(frozen=True)
class Finished(Message):
    """It is done."""

    member: Member


@dataclass(frozen=True)
class Failed(Message):
    """It ended before it was done: the loss diverged, it raised, or its process was lost.

    `trace` is what Python knows of an error that nobody foresaw.
    """

    reason: str
    diverged: bool = False
    trace: str = ""


def failure(index: int, error: BaseException) -> Failed:
    """Return the message that a member failed with an error; of one foreseen its text is enough."""
    if isinstance(error, PipelineError):
        return Failed(index, str(error), diverged=isinstance(error, DivergedError))
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return Failed(index, reason, trace="".join(traceback.format_exception(error)))


Hear = Callable[[Message], None]
"""Takes messages, in their order, on the thread that called the executor."""


@dataclass(frozen=True)
class Work:
    """All that an executor needs: it does the tasks and has `hear` hear of them.

    When a member fails, `again` tells what to do: the task of another try, or None.
    """

    tasks: Sequence[Task]
    labelled: Digits
    folder_of: Callable[[int], Path]
    arrangement: Arrangement
    found: Hardware
    hear: Hear
    again: Callable[[Failed], Task | None]

    def for_elsewhere(self, task: Task) -> Task:
        """Return the task with the member's resume file, for a worker that cannot read it."""
        path = self.folder_of(task.member.index) / RESUME_FILE
        return replace(task, resume=path.read_bytes() if path.exists() else None)
