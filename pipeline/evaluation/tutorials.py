"""The table of the tutorials: the accuracy that each reports beside the one measured here."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

from rich.console import Console
from rich.table import Table

TOLERANCE = 0.0015
"""How far a measured accuracy may be below the reported one and still reach it; a share of rows.

It is about one standard deviation of an accuracy of 98 % on 10,000 rows, sqrt(p (1 - p) / n).
"""


@dataclass(frozen=True)
class Baseline:
    """A system to reproduce: its recipe, the source to measure it on, its tutorial's result.

    `reported` is the accuracy to reach, in [0, 1]: the lower end if the tutorial gives a range,
    None if it gives no figure. `claim` is the tutorial's result in words.
    """

    recipe: str
    source: Literal["mnist", "practice"]
    reported: float | None
    claim: str


BASELINES = (
    Baseline("tutorials/mlp_256", "mnist", 0.976, "97.6 to 97.8 %"),
    Baseline("tutorials/mlp_1000", "mnist", None, "overfits more"),
    Baseline("tutorials/mlp_1000_dropout", "mnist", None, "gap closes"),
    Baseline("tutorials/mlp_1000x2_dropout", "mnist", 0.978, "97.8 %"),
    Baseline("tutorials/mlp_512_128", "mnist", 0.980, "98.0 %"),
    Baseline("tutorials/mlp_50", "mnist", None, "a plot"),
    Baseline("tutorials/cnn_32_16", "mnist", 0.9912, "99.12 %"),
    Baseline("tutorials/cnn_16_36", "mnist", None, "a plot"),
    Baseline("tutorials/cnn_mse_sgd", "mnist", 0.9862, "98.62 %"),
    Baseline("tutorials/lstm_50", "mnist", None, "a little low"),
    Baseline("tutorials/lstm_128x2", "mnist", None, "much higher"),
    # Its tutorial reports a public score on Kaggle; the hidden practice rows take its place.
    Baseline("bn_cnn", "practice", 0.99628, "99.628 %"),
)
"""In the table's order, simple to strong; the last one is the competition's network."""


@dataclass(frozen=True)
class Measurement:
    """One run of a baseline.

    Accuracies are in [0, 1]; `test_accuracy` is on `rows` test rows. `seconds` is the training
    time, validation included.
    """

    seed: int
    test_accuracy: float
    rows: int
    training_accuracy: float
    validation_accuracy: float
    parameters: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class TutorialRow:
    """One row of the table: a baseline with at least one measurement, one per seed."""

    baseline: Baseline
    measurements: Sequence[Measurement]

    @property
    def measured(self) -> float:
        """The mean test accuracy over the seeds, in [0, 1]."""
        return mean(run.test_accuracy for run in self.measurements)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation over the seeds; None for a single seed."""
        accuracies = [run.test_accuracy for run in self.measurements]
        return stdev(accuracies) if len(accuracies) > 1 else None

    @property
    def gap(self) -> float:
        """Training minus validation accuracy, the mean over the seeds: a measure of overfitting."""
        return mean(run.training_accuracy - run.validation_accuracy for run in self.measurements)

    @property
    def shortfall(self) -> float | None:
        """Reported minus measured accuracy, negative if exceeded; None if none is reported."""
        if self.baseline.reported is None:
            return None
        return round(self.baseline.reported - self.measured, 6)

    @property
    def reached(self) -> bool | None:
        """Whether the reported accuracy is reached within TOLERANCE; None if none is reported."""
        return None if self.shortfall is None else self.shortfall <= TOLERANCE

    @property
    def verdict(self) -> str:
        """`reached` as "yes" or "no", with a shortfall in points; empty if none is reported."""
        if self.shortfall is None:
            return ""
        word = "yes" if self.reached else "no"
        return word if self.shortfall <= 0 else f"{word} (-{100 * self.shortfall:.3f})"

    def cells(self) -> dict[str, str]:
        """Return one text per column, by the columns' names."""
        first = self.measurements[0]
        decimals = 2 if first.rows <= 10_000 else 3  # enough to show a single row
        spread = "" if self.deviation is None else f" +- {100 * self.deviation:.{decimals}f}"
        return {
            "recipe": Path(self.baseline.recipe).stem,
            "parameters": f"{first.parameters:,}",
            "reported": self.baseline.claim,
            "measured": f"{100 * self.measured:.{decimals}f}{spread} %",
            "rows": f"{first.rows:,}",
            "reached": self.verdict,
            "gap": f"{100 * self.gap:+.2f}",
            "epochs": f"{round(mean(run.epochs for run in self.measurements), 1):g}",
            "seconds": f"{mean(run.seconds for run in self.measurements):.0f}",
        }

    def as_json(self) -> dict[str, object]:
        """Return plain values for `--json`."""
        return {
            "recipe": self.baseline.recipe,
            "source": self.baseline.source,
            "reported": self.baseline.reported,
            "told": self.baseline.claim,
            "measured": self.measured,
            "deviation": self.deviation,
            "gap": self.gap,
            "shortfall": self.shortfall,
            "reached": self.reached,
            "measurements": [asdict(run) for run in self.measurements],
        }


_TEXT_COLUMNS = ("recipe", "reported", "reached")

EXPLANATION = (
    "reported: the tutorial's test accuracy. measured: the test accuracy here. rows: the number of "
    "test rows (for bn_cnn, the practice competition's hidden rows). reached: yes if measured is "
    "at most 0.15 points below reported; the shortfall is in brackets. gap: accuracy on the "
    "training rows, without augmentation and dropout, minus accuracy on the validation rows, in "
    "points; a large gap means overfitting. seconds: training time with validation. bn_cnn "
    "averages five checkpoints that its validation rows chose; the other systems use their last "
    "epoch."
)


def table(rows: Sequence[TutorialRow]) -> Table:
    """Return the rows as a table for the terminal."""
    layout = Table(title=_title(rows), title_justify="left")
    for column in rows[0].cells():
        justify: Literal["left", "right"] = "left" if column in _TEXT_COLUMNS else "right"
        layout.add_column(column, justify=justify, no_wrap=column == "recipe")
    for row in rows:
        layout.add_row(*row.cells().values())
    return layout


def show(rows: Sequence[TutorialRow]) -> None:
    """Print the table and the meaning of its columns."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table(rows))
    console.print(EXPLANATION)


def as_markdown(rows: Sequence[TutorialRow]) -> str:
    """Return the table in Markdown, with its title above and the meaning of its columns below."""
    header = list(rows[0].cells())
    rule = ["---" if column in _TEXT_COLUMNS else "---:" for column in header]
    lines = [header, rule, *(row.cells().values() for row in rows)]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{_title(rows)}\n\n{text}\n{EXPLANATION}\n"


def _title(rows: Sequence[TutorialRow]) -> str:
    seeds = sorted({run.seed for row in rows for run in row.measurements})
    if len(seeds) == 1:
        return f"the tutorials, training seed {seeds[0]}"
    return f"the tutorials, training seeds {', '.join(map(str, seeds))}, mean +- standard deviation"
