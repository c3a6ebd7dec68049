"""Writes the events of a run's members into the run's record and folder."""

import time
from collections.abc import Sequence

from pipeline.common.files import replacing, write_text
from pipeline.common.progress import Report, RunProgress
from pipeline.common.text import printable
from pipeline.runs import CHECKPOINTS_FOLDER, HISTORY_FILE, RESUME_FILE, Member, Run, now
from pipeline.runs.fields import LONGEST_TEXT
from pipeline.training.events import (
    Began,
    EpochEnded,
    Event,
    Failed,
    Files,
    Finished,
    StepEnded,
    Validating,
)

HEARTBEAT_EVERY = 10.0
"""Seconds after which a member's heartbeat is written to run.json between two epochs."""


class Recorder:
    """Records the events of a run's members, in the process that holds the run."""

    def __init__(self, run: Run, progress: RunProgress, report: Report) -> None:
        self._run = run
        self._progress = progress
        self._report = report
        self._saved_at = 0.0
        self._started = time.monotonic()
        self._seconds_before = run.record.timings.get("training_seconds", 0.0)

    def on_event(self, event: Event) -> None:
        """Record what a member did, and show it. Raises LostRunError as `Run.check_held`."""
        if not isinstance(event, StepEnded):  # which writes seldom, and `save` asks too
            self._run.check_held()
        index = event.index
        self._member(index).heartbeat = now()
        match event:
            case Began(member=member, steps=steps, files=files):
                self._update(member)
                if not member.epochs:
                    self._remove_earlier_attempt(index)
                self._write(index, files)
                self._remove_unrecorded_checkpoints(member)
                self._progress.begin(index, member.epochs, steps)
                self._report_begin(member)
            case StepEnded(epoch=epoch, step=step):
                self._progress.step(index, epoch, step)
                if time.monotonic() - self._saved_at > HEARTBEAT_EVERY:
                    self._save()
            case Validating(epoch=epoch):
                self._progress.validate(index, epoch)
            case EpochEnded(epoch=epoch, metrics=metrics):
                self._store_epoch(event)
                self._progress.end_epoch(index, epoch, metrics)
            case Finished(member=member):
                self._update(member)
                (self._run.member_folder(index) / RESUME_FILE).unlink(missing_ok=True)
                self._progress.end(index, finished=True)
            case Failed():
                self._fail(event)
                self._progress.end(index)

    def wait_for_turn(self, indices: Sequence[int]) -> None:
        """Record that members, which failed or which another process left, are to be trained."""
        for member in map(self._member, indices):
            member.status, member.reason = "pending", ""
        self._save()

    def remove_resume_files(self) -> None:
        """Delete those of members that are done. One stays if a process dies at the very end."""
        for member in self._run.record.members:
            if member.status == "done":
                (self._run.member_folder(member.index) / RESUME_FILE).unlink(missing_ok=True)

    def _member(self, index: int) -> Member:
        return self._run.record.members[index]

    def _update(self, member: Member) -> None:
        """Put a member's new state into the record. Only this process knows the heartbeat."""
        heartbeat = self._member(member.index).heartbeat
        updated = member.model_copy(update={"heartbeat": heartbeat})
        self._run.record.members[member.index] = updated
        self._save()

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        seconds = self._seconds_before + self._saved_at - self._started
        self._run.record.timings["training_seconds"] = round(seconds, 1)
        self._run.save()

    def _store_epoch(self, event: EpochEnded) -> None:
        """Write an epoch's files in an order that a kill at any moment leaves consistent.

        The record never names a checkpoint that is not there. The resume file is never ahead of
        the record.
        """
        files = dict(event.files)
        resume = {RESUME_FILE: files.pop(RESUME_FILE)}
        self._write(event.index, files)
        self._update(event.member)
        self._write(event.index, resume)
        self._remove_unrecorded_checkpoints(event.member)

    def _write(self, index: int, files: Files) -> None:
        for name, content in files.items():
            path = self._run.member_folder(index) / name
            if path.parent.name == CHECKPOINTS_FOLDER:
                self._run.write(path, content)
            else:
                with replacing(path) as temporary:
                    temporary.write_bytes(content)

    def _remove_earlier_attempt(self, index: int) -> None:
        """Delete what an attempt that diverged has left, whose epochs no longer count."""
        for name in (RESUME_FILE, HISTORY_FILE, "curves.png"):
            (self._run.member_folder(index) / name).unlink(missing_ok=True)

    def _remove_unrecorded_checkpoints(self, member: Member) -> None:
        recorded = {checkpoint.file for checkpoint in member.checkpoints}
        folder = self._run.member_folder(member.index) / CHECKPOINTS_FOLDER
        for path in folder.glob("*.keras"):
            if path.name not in recorded:
                path.unlink()
        self._run.forget_checksums(folder, recorded)

    def _fail(self, event: Failed) -> None:
        """Record why a member failed. A member that diverged begins anew, with other weights."""
        member = self._member(event.index)
        member.status, member.reason = "failed", printable(event.reason, LONGEST_TEXT)
        if event.diverged:
            member.attempt, member.epochs, member.checkpoints = member.attempt + 1, 0, []
        self._save()
        line = f"{self._progress.name(event.index) or 'training'} failed: {member.reason}"
        if event.trace:
            path = self._run.member_folder(event.index) / "error.txt"
            write_text(path, event.trace)
            line += f" (traceback: {path})"
        self._report(line)

    def _report_begin(self, member: Member) -> None:
        name, settings = self._progress.name(member.index), self._run.training.recipe.members
        kind = "fold" if settings.folds else "hold-out"
        fold = f", {kind} {member.fold + 1} of {settings.splits}" if settings.splits > 1 else ""
        if member.epochs:
            self._report(f"{name}{fold}: continuing after epoch {member.epochs}".lstrip(", :"))
        elif name:
            self._report(f"{name}{fold}: training on {member.device}")
