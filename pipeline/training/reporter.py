"""Reports a member in training: the one place where its events are made."""

import os
import socket
import time

import keras

from pipeline.runs import HISTORY_FILE, RESUME_FILE, Member, RunStatus
from pipeline.training.callbacks import Logs
from pipeline.training.events import Began, EpochEnded, Finished, OnEvent, StepEnded, Validating
from pipeline.training.resume import ResumePoint

SECONDS_BETWEEN_STEPS = 0.25
"""The shortest time between two events of steps, which only move a progress bar."""


class Reporter(keras.callbacks.Callback):
    """Reports a member in training as events. It must be the last callback.

    `member` is its record before this training, `device` says where it trains, and `steps` is the
    number of steps per epoch. `resume_point` has its checkpoints and history. The events carry all
    files: a run's folder has one writer, the recorder, whichever process trains.
    """

    def __init__(
        self,
        member: Member,
        device: str,
        steps: int,
        resume_point: ResumePoint,
        on_event: OnEvent,
    ) -> None:
        super().__init__()
        where = {"host": socket.gethostname(), "process": os.getpid(), "device": device}
        self._member = member.model_copy(update=where)
        self._steps = steps
        self._resume_point = resume_point
        self._on_event = on_event
        self._epoch = resume_point.epoch
        self._started: float | None = None
        self._reported_at = 0.0

    def begin(self) -> None:
        """Report that training begins, or continues after the epoch of the resume point."""
        history = self._resume_point.history
        files = {HISTORY_FILE: history.csv()} if history.rows else {}
        member = self._record("running")
        self._on_event(Began(member.index, member, self._steps, files))

    def finish(self) -> None:
        """Report that the member is done."""
        member = self._record("done")
        self._on_event(Finished(member.index, member))

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start the member's clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Report the steps so far, a few times per second."""
        if time.monotonic() - self._reported_at >= SECONDS_BETWEEN_STEPS:
            self._reported_at = time.monotonic()
            self._on_event(StepEnded(self._member.index, self._epoch + 1, batch + 1))

    def on_test_begin(self, logs: Logs = None) -> None:
        """Report that the epoch's validation begins."""
        self._on_event(Validating(self._member.index, self._epoch + 1))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Report the epoch with all its files."""
        self._epoch = epoch + 1
        member = self._record("running")
        files = {
            **self._resume_point.checkpoints.new_file,
            HISTORY_FILE: self._resume_point.history.csv(),
            RESUME_FILE: self._resume_point.content(self._epoch, member.seconds),
        }
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self._on_event(EpochEnded(member.index, member, self._epoch, metrics, files))

    def _record(self, status: RunStatus) -> Member:
        """Return the member's record as of now."""
        checkpoints = self._resume_point.checkpoints
        elapsed = time.perf_counter() - self._started if self._started is not None else 0.0
        return self._member.model_copy(
            update={
                "status": status,
                "parameters": checkpoints.parameters,
                "epochs": self._epoch,
                "seconds": round(self._resume_point.seconds + elapsed, 1),
                "checkpoints": list(checkpoints.kept),
            }
        )
