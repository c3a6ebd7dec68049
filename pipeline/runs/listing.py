"""Runs and their members as text and as JSON."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.common.files import size
from pipeline.common.text import printable, size_text
from pipeline.runs.records import Member, TrainingRecord
from pipeline.runs.run import Run


def describe(run: Run) -> list[str]:
    """Return the lines that describe a run: its state, when it was made, and its folder's size.

    A run with several members has a line with the number of members per state. Every running
    member has a line, and in a run with several members every failed one too.
    """
    record, members = run.record, run.members()
    begun = f"{run.id}  {run.state()}  {record.created_at}  {size_text(size(run.folder))}"
    lines = [f"{begun}  {record.reason}".rstrip()]
    if isinstance(record, TrainingRecord) and record.kernels and not record.kernels[-1].ended:
        lines.append(f"  kernel {record.kernels[-1].url}: {run.continuation} returns to it")
    if len(members) == 1 and members[0].status == "running":
        lines.append(f"  {_detail(members[0])}")
    if len(members) > 1 and not record.parents:
        counts = Counter(member.status for member in members)
        states = ", ".join(f"{count} {status}" for status, count in counts.items())
        lines.append(f"  {len(members)} members: {states}")
        lines += [
            f"  member {one.index + 1}: {_detail(one)}"
            for one in members
            if one.status in ("running", "failed")
        ]
    return lines


def describe_all(runs: Sequence[Run], unreadable: Sequence[Path]) -> str:
    """Return the line that counts the runs, and the folders of those that cannot be read."""
    folders = [*(run.folder for run in runs), *unreadable]
    if not folders:
        return "no runs yet; make submit makes one"
    left_out = f", {len(unreadable)} of them unreadable" if unreadable else ""
    count = f"{len(folders):,} run{'s' * (len(folders) > 1)}"
    return f"{count}{left_out}, {size_text(sum(map(size, folders)))} in all"


def as_json(run: Run) -> dict[str, Any]:
    """Return the record with the current states and the folder's bytes, for `--json`."""
    return {
        **run.record.model_dump(mode="json"),
        "state": run.state(),
        "members": [member.model_dump(mode="json") for member in run.members()],
        "bytes": size(run.folder),
    }


def unreadable_as_json(folder: Path, reason: str) -> dict[str, Any]:
    """Return the entry, for `--json`, of a run whose record cannot be read, and why."""
    state = {"id": printable(folder.name), "state": "unreadable", "reason": reason}
    return {**state, "bytes": size(folder)}


def _detail(member: Member) -> str:
    if member.status == "failed":
        return f"failed: {member.reason}"
    line = f"running, {member.epochs} epochs done, process {member.process} on {member.host}"
    if member.heartbeat:
        since = datetime.now(UTC) - datetime.fromisoformat(member.heartbeat)
        line += f", last report {since.total_seconds():.0f} s ago"
    return line
