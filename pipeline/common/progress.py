"""What a person sees while members train: one line per epoch, and bars on a terminal."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

Report = Callable[[str], None]
"""Takes one line of text for the person."""


def ignore(line: str) -> None:
    """Drop the line. A `Report` for work that nobody needs to follow."""


@dataclass
class _Pace:
    """The mean time per unit of work since the first call, before which a network is compiled.

    Rich's own estimate ends with the first epoch of a bar, and errs for members side by side.
    """

    began: tuple[float, float] | None = None

    def left(self, done: float, rest: float) -> str:
        """Return the time that the rest takes, in words. Empty before there is a pace."""
        now = time.monotonic()
        self.began = self.began or (now, done)
        since, before = self.began
        return f"{_duration((now - since) / (done - before) * rest)} left" if done > before else ""


@dataclass
class _MemberBar:
    """A member in training: its bar, the steps per epoch, its first epoch, and the steps done."""

    bar: TaskID
    steps: int
    first_epoch: int
    started: float
    done: int = 0
    pace: _Pace = field(default_factory=_Pace)

    @property
    def seconds_per_epoch(self) -> float:
        """The mean wall time of an epoch since this process began with the member."""
        return (time.monotonic() - self.started) * self.steps / max(self.done, 1)


class RunProgress:
    """One bar for the run and one per member in training, on stderr, with the time left.

    Without a terminal there are no bars. The line per epoch states the time left in any case.
    """

    def __init__(
        self, report: Report, members: int, epochs: int, epochs_done: Mapping[int, int]
    ) -> None:
        """Take the number of all members and of epochs per member.

        `epochs_done` maps the index of each member that is still to train to its finished epochs.
        """
        self._report = report
        self._members = members
        self._epochs = epochs
        self._epochs_left = {index: float(epochs - done) for index, done in epochs_done.items()}
        self._epochs_trained = 0.0  # by this process, with fractions
        self._started = time.monotonic()
        self._pace = _Pace()
        self._in_training: dict[int, _MemberBar] = {}
        self._bars = Progress(
            TextColumn("{task.description:>11}"),
            BarColumn(bar_width=30),  # so that a line has at most 80 columns
            TextColumn("{task.fields[state]:>10}"),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
            # Rich prints lines above the bars, unless stdout is a file or a pipe.
            redirect_stdout=sys.stdout.isatty(),
            disable=not sys.stderr.isatty(),  # Rich believes FORCE_COLOR, which notebooks set
        )
        self._run_bar = self._bars.add_task("run at most", total=None, state="", left="")

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
        """Return "member 2/15" for the member of index 1. Empty if the run has only one member."""
        return f"member {index + 1}/{self._members}" if self._members > 1 else ""

    def begin(self, index: int, epoch: int, steps: int) -> None:
        """Show that a member starts after `epoch` finished epochs, with `steps` steps per epoch."""
        self.end(index)
        if not self._epochs_trained:
            self._started = time.monotonic()  # the time before was not training
        bar = self._bars.add_task(self.name(index), total=steps, state="", left="")
        self._in_training[index] = _MemberBar(bar, steps, epoch, time.monotonic())
        self._epochs_left[index] = self._epochs - epoch

    def step(self, index: int, epoch: int, step: int) -> None:
        """Show that a member has done `step` steps of epoch `epoch`, which counts from 1."""
        member = self._in_training[index]
        done = (epoch - 1 - member.first_epoch) * member.steps + step
        self._epochs_trained += (done - member.done) / member.steps
        member.done = done
        self._epochs_left[index] = self._epochs - member.first_epoch - done / member.steps
        self._bars.update(
            member.bar,
            description=f"{self.name(index)} epoch {epoch}".strip(),
            completed=step,
            state=f"{step}/{member.steps}",
            left=member.pace.left(done, member.steps - step),
        )
        trained, rest = self._epochs_trained, sum(self._epochs_left.values())
        self._bars.update(
            self._run_bar,
            completed=trained,
            total=trained + rest,
            state=f"{int(round(trained, 3))}/{trained + rest:.0f}",
            left=self._pace.left(trained, rest),
        )

    def validate(self, index: int, epoch: int) -> None:
        """Show that a member has done all steps of an epoch, and is being validated."""
        member = self._in_training[index]
        self.step(index, epoch, member.steps)
        self._bars.update(member.bar, state="validating", left="")

    def end_epoch(self, index: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Print an epoch's metrics and how long the rest takes at most."""
        member = self._in_training[index]
        self.step(index, epoch, member.steps)
        pace = (time.monotonic() - self._started) / self._epochs_trained
        self._report(
            f"{self.name(index)}  epoch {epoch:>2}/{self._epochs}  loss {metrics['loss']:.4f}  "
            f"accuracy {metrics['accuracy']:.4f}  val_loss {metrics['val_loss']:.4f}  "
            f"val_accuracy {metrics['val_accuracy']:.5f}  "
            f"learning rate {metrics['learning_rate']:.2g}  "
            f"{member.seconds_per_epoch:.1f} s per epoch, at most "
            f"{_duration(pace * sum(self._epochs_left.values()))} left".lstrip()
        )

    def end(self, index: int, finished: bool = False) -> None:
        """Remove a member's bar. A finished member has no epochs left."""
        member = self._in_training.pop(index, None)
        if member:
            self._bars.remove_task(member.bar)
        if finished:
            self._epochs_left[index] = 0


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
