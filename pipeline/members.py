"""The members of a run, trained one after another; those that are done are left alone."""

from collections.abc import Sequence

from pipeline.digits import Digits, select
from pipeline.hardware import Hardware
from pipeline.progress import Report
from pipeline.recipe import Recipe
from pipeline.runs import Member, Run
from pipeline.split import Split
from pipeline.training import RESUME_FILE, train_member


def train_members(
    run: Run,
    recipe: Recipe,
    labelled: Digits,
    splits: Sequence[Split],
    hardware: Hardware,
    report: Report,
) -> None:
    """Train every member of the run that is not done, and record each epoch of it.

    `splits` has one entry a fold, or one for a hold-out: a member trains on the rows outside its
    fold and validates on those in it. Raises PipelineError as `train_member` does.
    """

    def keep(member: Member) -> None:
        run.record.members[member.index] = member
        seconds = sum(one.seconds for one in run.record.members)
        run.record.timings["training_seconds"] = round(seconds, 1)
        run.save()

    members = run.record.members
    for member in members:
        if member.status == "done":
            # It stays where a process was killed at the very end.
            (run.member_folder(member.index) / RESUME_FILE).unlink(missing_ok=True)
            continue
        split = splits[member.fold]
        if len(members) > 1:
            fold = f", fold {member.fold + 1} of {len(splits)}" if len(splits) > 1 else ""
            report(f"member {member.index + 1} of {len(members)}{fold}")
        train_member(
            recipe,
            select(labelled, split.train_rows),
            select(labelled, split.validation_rows),
            run.member_folder(member.index),
            hardware,
            report,
            keep=keep,
            member=member,
        )
