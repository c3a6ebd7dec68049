"""The run's record and folder, as far as the messages of its members fill them."""

import time
from collections.abc import Sequence

from pipeline.common.files import replacing, write_text
from pipeline.common.progress import Report, RunProgress
from pipeline.executors.events import Began, Failed, Finished, Kept, Message, Saved, Stepped
from pipeline.runs import RESUME_FILE, Member, Run, now, remove_strays

HEARTBEAT_EVERY = 10.0
"""Seconds after which a member's sign of life is written down between two epochs."""


class Recorder:
    """Hears the messages of a run's members, in the process that holds the run."""

    def __init__(self, run: Run, progress: RunProgress, report: Report) -> None:
        self._run = run
        self._progress = progress
        self._report = report
        self._saved_at = 0.0
        self._started = time.monotonic()
        self._seconds_before = run.record.timings.get("training_seconds", 0.0)

    def hear(self, message: Message) -> None:
        """Record what a member did, and show it."""
        index = message.index
        self._member(index).heartbeat = now()
        match message:
            case Began(member=member, steps=steps):
                self._keep(member)
                remove_strays(self._run.member_folder(index) / "checkpoints", member.checkpoints)
                self._progress.begin(index, member.epochs, steps)
                self._say_how_it_began(member)
            case Stepped(epoch=epoch, step=step):
                self._progress.step(index, epoch, step)
                if time.monotonic() - self._saved_at > HEARTBEAT_EVERY:
                    self._save()
            case Kept(member=member):
                self._keep(member)
            case Saved(epoch=epoch, metrics=metrics):
                self._store(message)
                self._progress.end_epoch(index, epoch, metrics)
            case Finished(member=member):
                self._keep(member)
                (self._run.member_folder(index) / RESUME_FILE).unlink(missing_ok=True)
                self._progress.end(index, finished=True)
            case Failed():
                self._fail(message)
                self._progress.end(index)

    def begin_again(self, indices: Sequence[int]) -> None:
        """Note that members which failed, or were left by another process, wait for their turn."""
        for member in map(self._member, indices):
            member.status, member.reason = "pending", ""
        self._save()

    def _member(self, index: int) -> Member:
        return self._run.record.members[index]

    def _keep(self, member: Member) -> None:
        """Put a member's news into the record; what only this process knows stays."""
        known = {"heartbeat": self._member(member.index).heartbeat}
        self._run.record.members[member.index] = member.model_copy(update=known)
        self._save()

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        seconds = self._seconds_before + self._saved_at - self._started
        self._run.record.timings["training_seconds"] = round(seconds, 1)
        self._run.save()

    def _store(self, message: Saved) -> None:
        """Write an epoch's files as a member in the run's folder does it, and in that order.

        At no moment does the record name a checkpoint that is not there, or the resume file an
        epoch that is not recorded.
        """
        if not message.files:
            return
        folder = self._run.member_folder(message.index)
        for name, content in message.files.items():
            if name != RESUME_FILE:
                with replacing(folder / name) as temporary:
                    temporary.write_bytes(content)
        self._keep(message.member)
        with replacing(folder / RESUME_FILE) as temporary:
            temporary.write_bytes(message.files[RESUME_FILE])
        remove_strays(folder / "checkpoints", message.member.checkpoints)

    def _fail(self, message: Failed) -> None:
        """Record why a member failed; one that diverged is to begin anew, with other weights."""
        member = self._member(message.index)
        member.status, member.reason = "failed", message.reason
        if message.diverged:
            member.draw, member.epochs, member.checkpoints = member.draw + 1, 0, []
        self._save()
        told = f"{self._progress.name(message.index) or 'training'} failed: {message.reason}"
        if message.trace:
            path = self._run.member_folder(message.index) / "error.txt"
            write_text(path, message.trace)
            told += f" (all of it: {path})"
        self._report(told)

    def _say_how_it_began(self, member: Member) -> None:
        name, folds = self._progress.name(member.index), self._run.record.recipe["members"]["folds"]
        fold = f", fold {member.fold + 1} of {folds}" if folds else ""
        if member.epochs:
            self._report(f"{name}{fold}: going on after epoch {member.epochs}".lstrip(", :"))
        elif name:
            self._report(f"{name}{fold}: training on {member.device}")
