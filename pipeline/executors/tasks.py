"""What an executor gets: the members to train, and where their events go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.digits import Digits, select
from pipeline.data.split import Split
from pipeline.executors.plan import Arrangement
from pipeline.recipe import Recipe
from pipeline.runs import Member
from pipeline.training.events import Failed, OnEvent

if TYPE_CHECKING:
    from pipeline.training.hardware import Hardware


@dataclass(frozen=True)
class Task:
    """One member to train, or to continue from `resume`, the content of its resume file.

    `threads` are TensorFlow's per operation, None for all cores. `network_source` is the text of a
    network file of one's own, None where the package has the network.
    """

    recipe: Recipe
    member: Member
    split: Split
    threads: int | None
    resume: bytes | None = None
    network_source: str | None = None

    def rows(self, labelled: Digits) -> tuple[Digits, Digits]:
        """Return the member's training rows and validation rows."""
        split = self.split
        return select(labelled, split.train_rows), select(labelled, split.validation_rows)


@dataclass(frozen=True)
class Work:
    """All that an executor needs.

    It trains the tasks and passes every event to `on_event`, in order, on the thread that called
    it. When a member fails, `retry` returns the task of its next try, or None. `scratch` is a
    folder for temporary files on this machine. `hardware` is what this process trains on.
    """

    tasks: Sequence[Task]
    labelled: Digits
    scratch: Path
    arrangement: Arrangement
    hardware: Hardware
    on_event: OnEvent
    retry: Callable[[Failed], Task | None]
