"""Two runs beside each other: the digits that only one gets right, and their curves overlaid."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipeline.data.checks import check_digits, check_rows
from pipeline.evaluation.plots._grid import Caption, draw_digit
from pipeline.evaluation.plots.style import BLUE, VERMILION, plain_log_ticks

MOST_OF_EACH = 24
"""The most digits that are drawn of those that only one of two runs gets right."""

_COLUMNS = 4
_LEAST_ERROR = 1e-4  # share of wrong answers at the bottom of the error's scale
_LEAST_LOSS = 1e-7


class Answers(NamedTuple):
    """What two runs, A and B, predict for digits that only one of them gets right.

    `images` is uint8 [n, 28, 28, 1]; `labels`, `first` and `second` are integers [n] in 0..9: the
    labels, and the predictions of A and B; `row_ids` is integers [n].
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.integer]
    first: NDArray[np.integer]
    second: NDArray[np.integer]
    row_ids: NDArray[np.integer]


def disagreements(only_first: Answers, only_second: Answers, names: tuple[str, str]) -> Figure:
    """Draw the digits that only A gets right on the left, those that only B gets right right.

    Of each, the first `MOST_OF_EACH` are drawn; either may have none. `names` are those of the
    runs A and B. Above a digit are its label and both predictions, the wrong one with an "x".
    Raises ValueError for arrays of another shape, type or range.
    """
    sides = (only_first, only_second)
    most = max(min(len(side.images), MOST_OF_EACH) for side in sides)
    lines = max(1, -(-most // _COLUMNS))
    figure = Figure(figsize=(2 * _COLUMNS * 1.35, lines * 1.75 + 1.3), layout="constrained")
    figure.suptitle(f"A: {names[0]}\nB: {names[1]}", fontsize=11)
    halves = figure.subfigures(1, 2, squeeze=False, wspace=0.1).ravel()
    for half, side, name, colour in zip(halves, sides, "AB", (BLUE, VERMILION), strict=True):
        _draw_side(half, side, name, colour, lines)
    return figure


def _draw_side(half: SubFigure, side: Answers, name: str, colour: str, lines: int) -> None:
    """Draw the digits that only run A, or only B, gets right."""
    count = len(side.images)
    shown = min(count, MOST_OF_EACH)
    note = "" if shown == count else f" (the first {shown})"
    half.suptitle(f"only {name} is right: {count:,} rows{note}", fontsize=11, color=colour)
    grid = half.subplots(lines, _COLUMNS, squeeze=False).ravel()
    for axes in grid[shown:]:
        axes.set_axis_off()
    if not count:
        return
    check_rows(side.images, side.row_ids, side.labels, most=count)
    for digits, predictions in (("first", side.first), ("second", side.second)):
        check_digits(digits, predictions, count)
    for position, axes in enumerate(grid[:shown]):
        title = (
            f"label {side.labels[position]}\nA: {side.first[position]}   B: {side.second[position]}"
        )
        draw_digit(axes, side.images[position], Caption(title, f"row {side.row_ids[position]}"), 9)


def overlaid_curves(
    histories: tuple[Sequence[pd.DataFrame], Sequence[pd.DataFrame]], names: tuple[str, str]
) -> Figure:
    """Draw validation error (%) and validation loss of two runs over the epochs.

    `histories` has, for each run, one table per member, with one row per epoch and the columns
    epoch, val_loss and val_accuracy (in [0, 1]). The scales are logarithmic: errors below 0.01 %
    and losses below 1e-7 are drawn at these limits. Raises ValueError for a table without a column
    or rows.
    """
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    error, loss = figure.subplots(1, 2)
    styles = ((BLUE, "-", "o"), (VERMILION, "--", "s"))
    for tables, name, (colour, line, marker) in zip(histories, names, styles, strict=True):
        for number, table in enumerate(tables):
            missing = {"epoch", "val_loss", "val_accuracy"} - set(table.columns)
            if missing or table.empty:
                raise ValueError(f"a history has {len(table)} rows and lacks {sorted(missing)}")
            style = {
                "color": colour,
                "linestyle": line,
                "marker": marker,
                "markersize": 3.5,
                "linewidth": 1.2,
                "alpha": 1.0 if len(tables) == 1 else 0.7,
                "label": None if number else name,
            }
            wrong = 100 * (1 - table["val_accuracy"]).clip(lower=_LEAST_ERROR)
            error.plot(table["epoch"], wrong, **style)
            loss.plot(table["epoch"], table["val_loss"].clip(lower=_LEAST_LOSS), **style)
    _finish(error, "validation error (%)")
    _finish(loss, "validation loss, as trained")
    figure.legend(*error.get_legend_handles_labels(), loc="outside upper center")
    return figure


def _finish(axes: Axes, name: str) -> None:
    axes.set(xlabel="epoch", ylabel=name, yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    plain_log_ticks(axes.yaxis)
    axes.grid(alpha=0.3)
