"""The epochs of a member as trackers take them."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.common.text import printable
from pipeline.evaluation.history import read_history
from pipeline.runs import HISTORY_FILE, Member, Run


@dataclass(frozen=True)
class Epoch:
    """One epoch: its number from 1, when it ended, and its metrics by their names.

    `ended` are seconds since 1970: when the run was made, plus the wall time of the member's epochs
    so far. So an epoch that is logged twice has the same time both times.
    """

    number: int
    ended: float
    metrics: dict[str, float]


def created(run: Run) -> float:
    """Return when a run was made, in seconds since 1970; 0 where it is not recorded."""
    text = run.record.created_at
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def epochs_of(run: Run, member: Member) -> list[Epoch]:
    """Return the member's epochs in their order.

    A member that diverged has none: its history is that of an attempt that no longer counts. Raises
    ValueError where history.csv is missing or damaged.
    """
    if not member.epochs:
        return []
    path = run.member_folder(member.index) / HISTORY_FILE
    try:
        rows = read_history(path)[: member.epochs].to_dict("records")
        if [row["epoch"] for row in rows] != list(range(1, member.epochs + 1)):
            raise ValueError(f"it must have the epochs 1 to {member.epochs}")
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(f"{path} cannot be read ({printable(error)})") from None
    epochs, ended = [], created(run)
    for row in rows:
        ended += row.get("seconds", 0.0)
        metrics = {str(name): value for name, value in row.items() if name != "epoch"}
        epochs.append(Epoch(int(row["epoch"]), ended, metrics))
    return epochs
