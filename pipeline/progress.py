"""What a person sees while a member trains: a line an epoch, and two bars on a terminal."""

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Report = Callable[[str], None]
"""Takes one line of text for the person."""


class MemberProgress:
    """One bar for the epoch and one for the run, on stderr, with the time left.

    On anything but a terminal the bars stay away, and the line an epoch says the time left.
    """

    def __init__(self, report: Report, epochs: int, steps: int, done: int = 0) -> None:
        """Take the number of epochs in all, of steps an epoch, and of epochs done before."""
        self._report = report
        self._epochs = epochs
        self._steps = steps
        self._started = time.monotonic()
        self._first_epoch: int | None = None
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
        self._epoch_bar = self._bars.add_task("epoch", total=steps)
        self._run_bar = self._bars.add_task("run at most", total=(epochs - done) * steps)

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

    def start_epoch(self, epoch: int) -> None:
        """Begin epoch `epoch`, counted from 1."""
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._bars.reset(self._epoch_bar, description=f"epoch {epoch}")

    def step(self, step: int) -> None:
        """Show that `step` steps of the epoch are done."""
        self._bars.update(self._epoch_bar, completed=step)
        self._bars.advance(self._run_bar)

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Print the epoch's metrics and how long the rest takes at most."""
        done = epoch - (self._first_epoch or epoch) + 1
        seconds = (time.monotonic() - self._started) / done
        left = seconds * (self._epochs - epoch)
        self._report(
            f"epoch {epoch:>2}/{self._epochs}  loss {metrics['loss']:.4f}  "
            f"accuracy {metrics['accuracy']:.4f}  val_loss {metrics['val_loss']:.4f}  "
            f"val_accuracy {metrics['val_accuracy']:.5f}  "
            f"learning rate {metrics['learning_rate']:.2g}  "
            f"{seconds:.1f} s an epoch, at most {_time(left)} left"
        )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
