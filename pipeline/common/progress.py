"""What a person sees while members train: a line an epoch, and bars on a terminal."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Report = Callable[[str], None]
"""Takes one line of text for the person."""


def ignore(line: str) -> None:
    """Take a line that nobody needs to see: a Report."""


@dataclass
class _InTraining:
    """A member at work: its bar, the steps of an epoch, where it began and how far it is."""

    bar: TaskID
    steps: int
    first: int
    started: float
    done: int = 0

    @property
    def seconds_an_epoch(self) -> float:
        """The mean wall time of an epoch since the member began, or went on."""
        return (time.monotonic() - self.started) * self.steps / max(self.done, 1)


class RunProgress:
    """One bar for the run and one for every member in training, on stderr, with the time left.

    On anything but a terminal the bars stay away, and the line an epoch says the time left.
    """

    def __init__(self, report: Report, members: int, epochs: int, done: Mapping[int, int]) -> None:
        """Take the number of members in all and of epochs of each.

        `done` has the number of epochs done before, by member, of those that are to be trained.
        """
        self._report = report
        self._members = members
        self._epochs = epochs
        self._left = {index: float(epochs - before) for index, before in done.items()}
        self._trained = 0.0  # epochs, by parts
        self._started = time.monotonic()
        self._at_work: dict[int, _InTraining] = {}
        self._bars = Progress(
            TextColumn("{task.description:>11}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            # A line printed in between goes above the bars, unless stdout is a file or a pipe.
            redirect_stdout=sys.stdout.isatty(),
            disable=not Console(stderr=True).is_terminal,
        )
        self._run_bar = self._bars.add_task("run at most", total=None)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def name(self, index: int) -> str:
        """Return "member 2/15" for the member of index 1, or nothing where it is the only one."""
        return f"member {index + 1}/{self._members}" if self._members > 1 else ""

    def begin(self, index: int, epoch: int, steps: int) -> None:
        """Show that a member goes on after `epoch` epochs, in `steps` steps each."""
        self.end(index)
        if not self._trained:
            self._started = time.monotonic()  # what came before was no training
        bar = self._bars.add_task(self.name(index), total=steps)
        self._at_work[index] = _InTraining(bar, steps, epoch, time.monotonic())
        self._left[index] = self._epochs - epoch

    def step(self, index: int, epoch: int, step: int) -> None:
        """Show that a member has done `step` steps of epoch `epoch`, from 1."""
        member = self._at_work[index]
        done = (epoch - 1 - member.first) * member.steps + step
        self._trained += (done - member.done) / member.steps
        member.done = done
        self._left[index] = self._epochs - member.first - done / member.steps
        name = f"{self.name(index)} epoch {epoch}".strip()
        self._bars.update(member.bar, description=name, completed=step)
        total = self._trained + sum(self._left.values())
        self._bars.update(self._run_bar, completed=self._trained, total=total)

    def end_epoch(self, index: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Print an epoch's metrics and how long the rest takes at most."""
        member = self._at_work[index]
        self.step(index, epoch, member.steps)
        pace = (time.monotonic() - self._started) / self._trained
        self._report(
            f"{self.name(index)}  epoch {epoch:>2}/{self._epochs}  loss {metrics['loss']:.4f}  "
            f"accuracy {metrics['accuracy']:.4f}  val_loss {metrics['val_loss']:.4f}  "
            f"val_accuracy {metrics['val_accuracy']:.5f}  "
            f"learning rate {metrics['learning_rate']:.2g}  "
            f"{member.seconds_an_epoch:.1f} s an epoch, at most "
            f"{_time(pace * sum(self._left.values()))} left".lstrip()
        )

    def end(self, index: int, finished: bool = False) -> None:
        """Take a member's bar away; of one that is finished, nothing is left."""
        member = self._at_work.pop(index, None)
        if member:
            self._bars.remove_task(member.bar)
        if finished:
            self._left[index] = 0


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
