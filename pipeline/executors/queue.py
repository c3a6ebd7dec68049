"""The queue of a run's members: what to train, what to try again, and whether enough succeeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pipeline.common.errors import FailedRunError, PipelineError
from pipeline.common.progress import Report, RunProgress
from pipeline.data.digits import Digits
from pipeline.data.split import Split
from pipeline.executors.plan import Arrangement
from pipeline.executors.recorder import Recorder
from pipeline.executors.tasks import Task, Work
from pipeline.runs import RESUME_FILE, Member, Run
from pipeline.training.events import Event, Failed, OnEvent

if TYPE_CHECKING:
    from pipeline.training.hardware import Hardware


class RetryQueue:
    """The members of a run as tasks: those that are to be trained, and those to try again.

    A member that diverges begins anew with other initial weights, at most `members.retries` times
    in all commands together. A member that fails in another way is tried again at most so often
    per command.
    """

    def __init__(self, run: Run, splits: Sequence[Split], threads: int | None) -> None:
        self._run = run
        self._recipe = run.training.recipe
        self._splits = splits
        self._threads = threads
        self._failures = Counter[int]()

    def pending(self) -> list[Member]:
        """Return the members that are not done and have a try left."""
        return [
            one
            for one in self._run.record.members
            if one.status != "done" and one.attempt <= self._recipe.members.retries
        ]

    def task(self, index: int) -> Task:
        """Return the task of a member in its present state."""
        member = self._run.record.members[index]
        resume = self._run.member_folder(index) / RESUME_FILE
        return Task(
            self._recipe,
            member,
            self._splits[member.fold],
            self._threads,
            resume.read_bytes() if resume.is_file() else None,
            self._run.network_source,
        )

    def may_retry(self, failed: Failed) -> bool:
        """Count a failure. Return whether the member is to be tried again."""
        retries = self._recipe.members.retries
        self._failures[failed.index] += not failed.diverged
        attempt = self._run.record.members[failed.index].attempt
        return attempt <= retries and self._failures[failed.index] <= retries


def train_members(
    run: Run,
    labelled: Digits,
    splits: Sequence[Split],
    arrangement: Arrangement,
    hardware: Hardware,
    report: Report,
    watch: OnEvent,
) -> None:
    """Train every member of the run that is not done, and record each of its epochs.

    `splits` has one entry per fold, or one for a hold-out. A member trains on the rows outside its
    fold and validates on the rows inside. A member that fails is tried again as often as the
    recipe allows. `watch` gets each event once it is recorded. Raises FailedRunError if fewer
    members succeed than the recipe requires, and what `watch` raises.
    """
    train_all = find_executor(arrangement.executor)
    queue = RetryQueue(run, splits, arrangement.threads)
    pending, members = queue.pending(), run.record.members
    epochs_done = {member.index: member.epochs for member in pending}
    epochs = run.training.recipe.training.epochs
    with RunProgress(report, len(members), epochs, epochs_done) as progress:
        recorder = Recorder(run, progress, report)
        recorder.remove_resume_files()
        recorder.wait_for_turn([member.index for member in pending])

        def retry(failed: Failed) -> Task | None:
            if not queue.may_retry(failed):
                return None
            recorder.wait_for_turn([failed.index])
            report(f"{progress.name(failed.index) or 'training'}: trying again")
            return queue.task(failed.index)

        def on_event(event: Event) -> None:
            recorder.on_event(event)
            watch(event)

        tasks = [queue.task(member.index) for member in pending]
        if tasks:
            train_all(Work(tasks, labelled, run.scratch, arrangement, hardware, on_event, retry))
    for line in failure_report(run):
        report(line)


def find_executor(name: str) -> Callable[[Work], None]:
    """Return the function that trains members. Raises PipelineError if Ray is not installed."""
    if name == "ray" and not find_spec("ray"):
        raise PipelineError(
            "EXECUTOR is 'ray', but Ray is not installed; make setup EXECUTOR=ray installs it, or "
            "use EXECUTOR=processes"
        )
    train_all: Callable[[Work], None] = import_module(f"pipeline.executors.{name}").train_all
    return train_all


def failure_report(run: Run) -> list[str]:
    """Return the lines that report failed members. Raises FailedRunError if too few succeeded."""
    members, required = run.record.members, run.training.recipe.members.needed
    failed = [one for one in members if one.status == "failed"]
    if not failed:
        return []
    if len(members) == 1:
        raise FailedRunError(f"run {run.id}: {failed[0].reason}")
    reasons = "; ".join(f"member {one.index + 1}: {one.reason}" for one in failed)
    counts = f"{len(failed)} of {len(members)} members"
    if len(members) - len(failed) < required:
        raise FailedRunError(
            f"run {run.id}: {counts} failed, and members.required is {required} ({reasons}); mend "
            "that and run the same command again, which keeps the members that are done, or "
            "require fewer with SET"
        )
    return [
        f"run {run.id} continues without {counts}, as members.required is {required} ({reasons})"
    ]
