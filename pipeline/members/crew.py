"""The members of a run: trained by an executor, recorded by the process that holds the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pipeline.digits import Digits
from pipeline.errors import PipelineError
from pipeline.members.messages import Failed, Task, Work
from pipeline.members.recorder import Recorder
from pipeline.plan import Arrangement
from pipeline.progress import Report, RunProgress
from pipeline.recipe import Recipe
from pipeline.runs import RESUME_FILE, Run
from pipeline.split import Split

if TYPE_CHECKING:
    from pipeline.hardware import Hardware

MODULES = {"serial": "serial", "processes": "processes", "ray": "ray_tasks"}
"""The module that each executor is in."""


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
    executor, retries = find_executor(arrangement.executor), recipe.members.retries
    for member in run.record.members:
        if member.status == "done":
            # It stays where a process was killed at the very end.
            (run.member_folder(member.index) / RESUME_FILE).unlink(missing_ok=True)
    todo = [one for one in run.record.members if one.status != "done" and one.draw <= retries]
    done, failures = {member.index: member.epochs for member in todo}, Counter[int]()

    def task(index: int) -> Task:
        member = run.record.members[index]
        return Task(recipe, member, splits[member.fold], arrangement.threads)

    with RunProgress(report, len(run.record.members), recipe.training.epochs, done) as progress:
        recorder = Recorder(run, progress, report)

        def again(failed: Failed) -> Task | None:
            # Each draw of first weights has one try, in whichever command: a run that was
            # interrupted ends as one that was not.
            failures[failed.index] += not failed.diverged
            draw = run.record.members[failed.index].draw
            if draw > retries or failures[failed.index] > retries:
                return None
            recorder.begin_again([failed.index])
            report(f"{progress.name(failed.index) or 'training'}: trying again")
            return task(failed.index)

        recorder.begin_again([member.index for member in todo])
        tasks = [task(member.index) for member in todo]
        if tasks:
            hear = recorder.hear
            executor(Work(tasks, labelled, run.member_folder, arrangement, found, hear, again))
    _check_success(run, recipe, report)


def find_executor(name: str) -> Callable[[Work], None]:
    """Return the function that trains members. Raises PipelineError if Ray is not installed."""
    if name == "ray" and not find_spec("ray"):
        raise PipelineError(
            "EXECUTOR is 'ray', but Ray is not installed; make setup EXECUTOR=ray installs it, or "
            "use EXECUTOR=processes"
        )
    found: Callable[[Work], None] = import_module(f"pipeline.members.{MODULES[name]}").train_all
    return found


def _check_success(run: Run, recipe: Recipe, report: Report) -> None:
    """Say which members failed. Raises PipelineError if too few are left."""
    members, needed = run.record.members, recipe.members.needed
    failed = [one for one in members if one.status == "failed"]
    if not failed:
        return
    reasons = "; ".join(f"member {one.index + 1}: {one.reason}" for one in failed)
    if len(members) == 1:
        raise PipelineError(f"run {run.id}: {failed[0].reason}")
    if len(members) - len(failed) < needed:
        raise PipelineError(
            f"run {run.id}: {len(failed)} of {len(members)} members failed, and "
            f"members.required is {needed} ({reasons}); mend that and run the same command again, "
            "which keeps the members that are done, or require fewer with SET"
        )
    report(
        f"run {run.id} goes on without {len(failed)} of {len(members)} members, as "
        f"members.required is {needed} ({reasons})"
    )
