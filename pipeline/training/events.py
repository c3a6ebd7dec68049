"""What a member in training reports: one kind of message, from the training loop to the recorder.

A finished epoch passes through three hands: the training loop's `Reporter` makes the event, the
run's `Recorder` writes it down, and `RunProgress` shows it. Between the first two, an executor
carries the event from the process that trains to the one that holds the run.
"""

import errno
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.common.errors import DivergedError, LostRunError, PipelineError
from pipeline.runs import Member

Files = Mapping[str, bytes]
"""File contents by their paths inside the member's folder."""


@dataclass(frozen=True)
class Event:
    """Something that happened to the member of this index. Each subclass is one kind of event."""

    index: int


@dataclass(frozen=True)
class Began(Event):
    """Training begins, or continues after `member.epochs` epochs, with `steps` steps per epoch."""

    member: Member
    steps: int
    files: Files


@dataclass(frozen=True)
class StepEnded(Event):
    """`step` steps of epoch `epoch`, which counts from 1, are done."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Validating(Event):
    """All steps of epoch `epoch` are done, and the network predicts the validation rows."""

    epoch: int


@dataclass(frozen=True)
class EpochEnded(Event):
    """Epoch `epoch` is over. `files` are its history, its resume file and its checkpoint, if kept.

    `metrics` are Keras's figures of the epoch. `member` names the checkpoints that are kept now.
    """

    member: Member
    epoch: int
    metrics: Mapping[str, float]
    files: Files


@dataclass(frozen=True)
class Finished(Event):
    """The member is done."""

    member: Member


@dataclass(frozen=True)
class Failed(Event):
    """The member failed: its loss diverged, its training raised, or its process was lost.

    `trace` is Python's traceback of an unexpected error, else empty.
    """

    reason: str
    diverged: bool = False
    trace: str = ""


OnEvent = Callable[[Event], None]
"""Takes a member's events in their order."""

NOT_THE_MEMBERS_FAULT = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    *(errno.EFBIG, errno.EPIPE),
)
"""Errors of the disk, or of the reader of the output. Another member would fail in the same way."""


def failure(index: int, error: BaseException) -> Failed:
    """Return the event for a member that failed with `error`."""
    if isinstance(error, PipelineError):
        return Failed(index, str(error), diverged=isinstance(error, DivergedError))
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return Failed(index, reason, trace="".join(traceback.format_exception(error)))


@contextmanager
def failures_as_events(index: int, on_event: OnEvent) -> Iterator[None]:
    """Turn what the block raises into a Failed event of the member of this index.

    Lets through an OSError of `NOT_THE_MEMBERS_FAULT`, LostRunError, and what is no Exception, such
    as Ctrl-C.
    """
    try:
        yield
    except Exception as error:
        of_the_disk = isinstance(error, OSError) and error.errno in NOT_THE_MEMBERS_FAULT
        if of_the_disk or isinstance(error, LostRunError):
            raise
        on_event(failure(index, error))
