"""Runs and their members as text and as JSON."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from pipeline.runs.records import Member, TrainingRecord
from pipeline.runs.run import Run


def describe(run: Run) -> list[str]:
    """Return the lines that describe a run.

    A run with several members has a line with the number of members per state. Every running
    member has a line, and in a run with several members every failed one too.
    """
    record, members = run.record, run.members()
    lines = [f"{run.id}  {run.state()}  {record.created_at}  {record.reason}".rstrip()]
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


def as_json(run: Run) -> dict[str, Any]:
    """Return the record with the current states of the run and its members, for `--json`."""
    members = [member.model_dump(mode="json") for member in run.members()]
    return {**run.record.model_dump(mode="json"), "state": run.state(), "members": members}


def unreadable_as_json(name: str, reason: str) -> dict[str, Any]:
    """Return the entry, for `--json`, of a run whose record cannot be read, and why."""
    return {"id": name, "state": "unreadable", "reason": reason}


def _detail(member: Member) -> str:
    if member.status == "failed":
        return f"failed: {member.reason}"
    line = f"running, {member.epochs} epochs done, process {member.process} on {member.host}"
    if member.heartbeat:
        since = datetime.now(UTC) - datetime.fromisoformat(member.heartbeat)
        line += f", last report {since.total_seconds():.0f} s ago"
    return line
