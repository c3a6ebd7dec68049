"""The members of a run: trained by an executor, recorded by the process that holds the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report, RunProgress
from pipeline.data.digits import Digits
from pipeline.data.split import Split
from pipeline.executors.events import Failed, Task, Work
from pipeline.executors.plan import Arrangement
from pipeline.executors.recorder import Recorder
from pipeline.recipe import Recipe
from pipeline.runs import RESUME_FILE, Member, Run

if TYPE_CHECKING:
    from pipeline.training.hardware import Hardware

MODULES = {"serial": "serial", "processes": "processes", "ray": "ray_tasks"}
"""The module that each executor is in."""


class Crew:
    """The members of a run as tasks: those that are to be trained, and those to be tried again.

    Each draw of first weights has one try, and each member as many other ones as the recipe's
    `members.retries`, in whichever command: a run that was interrupted ends as one that was not.
    """

    def __init__(
        self, run: Run, recipe: Recipe, splits: Sequence[Split], threads: int | None
    ) -> None:
        self._run = run
        self._recipe = recipe
        self._splits = splits
        self._threads = threads
        self._failures = Counter[int]()

    def check_tries(self) -> None:
        """Raise PipelineError if nothing is left to be trained, and too few members succeeded."""
        if not self.todo():
            _check_success(self._run, self._recipe)

    def todo(self) -> list[Member]:
        """Return the members that are not done and have a try left."""
        return [
            one
            for one in self._run.record.members
            if one.status != "done" and one.draw <= self._recipe.members.retries
        ]

    def task(self, index: int) -> Task:
        """Return the task of a member as it is now."""
        member = self._run.record.members[index]
        return Task(self._recipe, member, self._splits[member.fold], self._threads)

    def has_another_try(self, failed: Failed) -> bool:
        """Count a failure, and say whether the member is to be tried again."""
        retries = self._recipe.members.retries
        self._failures[failed.index] += not failed.diverged
        draw = self._run.record.members[failed.index].draw
        return draw <= retries and self._failures[failed.index] <= retries


def train_members(
    run: Run,
    recipe: Recipe,
    labelled: Digits,
    splits: Sequence[Split],
    arrangement: Arrangement,
    found: Hardware,
    report: Report,
) -> None:
    """Train every member of the run that is not done, and record each epoch of it.

    `splits` has one entry a fold, or one for a hold-out: a member trains on the rows outside its
    fold and validates on those in it. One that fails is tried again as often as the recipe says.
    Raises PipelineError if in the end fewer members have succeeded than the recipe requires.
    """
    executor = find_executor(arrangement.executor)
    _remove_resume_files(run)
    crew = Crew(run, recipe, splits, arrangement.threads)
    todo, members = crew.todo(), run.record.members
    done = {member.index: member.epochs for member in todo}
    with RunProgress(report, len(members), recipe.training.epochs, done) as progress:
        recorder = Recorder(run, progress, report)

        def again(failed: Failed) -> Task | None:
            if not crew.has_another_try(failed):
                return None
            recorder.begin_again([failed.index])
            report(f"{progress.name(failed.index) or 'training'}: trying again")
            return crew.task(failed.index)

        recorder.begin_again([member.index for member in todo])
        tasks, hear = [crew.task(member.index) for member in todo], recorder.hear
        if tasks:
            executor(Work(tasks, labelled, run.member_folder, arrangement, found, hear, again))
    for line in _check_success(run, recipe):
        report(line)


def _remove_resume_files(run: Run) -> None:
    """Delete those of members that are done, which stay where a process dies at the very end."""
    for member in run.record.members:
        if member.status == "done":
            (run.member_folder(member.index) / RESUME_FILE).unlink(missing_ok=True)


def find_executor(name: str) -> Callable[[Work], None]:
    """Return the function that trains members. Raises PipelineError if Ray is not installed."""
    if name == "ray" and not find_spec("ray"):
        raise PipelineError(
            "EXECUTOR is 'ray', but Ray is not installed; make setup EXECUTOR=ray installs it, or "
            "use EXECUTOR=processes"
        )
    found: Callable[[Work], None] = import_module(f"pipeline.executors.{MODULES[name]}").train_all
    return found


def _check_success(run: Run, recipe: Recipe) -> list[str]:
    """Return what to say of members that failed. Raises PipelineError if too few are left."""
    members, needed = run.record.members, recipe.members.needed
    failed = [one for one in members if one.status == "failed"]
    if not failed:
        return []
    reasons = "; ".join(f"member {one.index + 1}: {one.reason}" for one in failed)
    if len(members) == 1:
        raise PipelineError(f"run {run.id}: {failed[0].reason}")
    if len(members) - len(failed) < needed:
        raise PipelineError(
            f"run {run.id}: {len(failed)} of {len(members)} members failed, and "
            f"members.required is {needed} ({reasons}); mend that and run the same command again, "
            "which keeps the members that are done, or require fewer with SET"
        )
    return [
        f"run {run.id} goes on without {len(failed)} of {len(members)} members, as "
        f"members.required is {needed} ({reasons})"
    ]
