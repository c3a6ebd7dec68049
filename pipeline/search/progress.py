"""What a person sees of a search between two lines: which trials are in training."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

Show = Callable[[Mapping[int, tuple[int, int]]], None]
"""Takes, by number of a trial in training, its finished epochs and the most that it may have."""


@contextmanager
def trials_in_training() -> Iterator[Show]:
    """Keep one line on stderr with the trials in training. Without a terminal there is none."""
    line = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=not sys.stderr.isatty(),
    )
    task = line.add_task("starting the workers")

    def show(epochs: Mapping[int, tuple[int, int]]) -> None:
        trials = (f"trial {one}: epoch {done + 1}/{most}" for one, (done, most) in epochs.items())
        line.update(task, description=", ".join(trials))

    with line:
        yield show
