"""The ten probabilities that a network gives to each of a few digits."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipeline.data.spec import SPEC
from pipeline.evaluation.checks import (
    check_digits_if_known,
    check_images,
    check_probability_shape,
    check_row_ids,
)
from pipeline.evaluation.plots._grid import Caption, Cell, draw_digit, grid_figure, title_style
from pipeline.evaluation.plots.style import BLACK, BLUE, GREY, VERMILION

MOST_BARS = 30
"""The most digits that one plot of probabilities may show."""

_COLUMNS = 3
_CELL = Cell(width=4.4, height=2.2)  # one digit and its bars
_MARGIN = 1.0  # inches for a heading and the legend
_TOLERANCE = 1e-3  # a mean of float32 probabilities may exceed 1 in the last places
_WRONG_BAR: dict[str, Any] = {"facecolor": VERMILION, "edgecolor": "white", "hatch": "////"}


def probability_bars(
    images: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer] | None,
    row_ids: NDArray[np.integer],
    heading: str = "",
) -> Figure:
    """Draw each digit beside a bar chart of its ten probabilities.

    `images` is uint8 [n, 28, 28, 1], 1 <= n <= `MOST_BARS`; `probabilities` is floats [n, 10] in
    [0, 1]; `labels` is integers [n] in 0..9, or None where unknown; `row_ids` is integers [n], the
    row numbers to print. The prediction is the digit of the highest probability, the lowest such
    digit if there are several. The label's bar is blue, a wrong prediction's bar vermilion and
    hatched, all other bars grey. Without labels the prediction's bar is black. A legend explains
    the colours. Raises ValueError for another shape, type or range.
    """
    check_images(images)
    check_digits_if_known("labels", labels, len(images))
    check_row_ids(row_ids, len(images))
    _check_probabilities(probabilities, len(images))
    figure, lines, columns = grid_figure(len(images), _COLUMNS, _CELL, heading, _MARGIN)
    # One subfigure per digit keeps an image closer to its own bars than to those of others.
    cells = figure.subfigures(lines, columns, squeeze=False, wspace=0.04, hspace=0.04).ravel()
    for position, cell in enumerate(cells[: len(images)]):
        left, right = cell.subplots(1, 2, width_ratios=[1, 2])
        draw_digit(left, images[position], Caption(""))
        label = None if labels is None else int(labels[position])
        _draw_bars(right, probabilities[position], label)
        _draw_title(cell, int(row_ids[position]), probabilities[position], label)
    figure.legend(handles=_legend(labels is not None), loc="outside lower center", ncols=3)
    return figure


def _draw_bars(axes: Axes, probabilities: NDArray[np.floating], label: int | None) -> None:
    """Draw the ten probabilities of one digit; `label` is None where unknown."""
    prediction = int(probabilities.argmax())
    bars = axes.bar(range(SPEC.classes), probabilities, color=GREY)
    if label is None:
        bars[prediction].set(color=BLACK)
    else:
        bars[prediction].set(**_WRONG_BAR)
        bars[label].set(color=BLUE, hatch=None)
    axes.set(xticks=range(SPEC.classes), yticks=(0, 0.5, 1), ylim=(0, 1))
    axes.set_ylabel("probability", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="x", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_title(
    cell: SubFigure, row_id: int, probabilities: NDArray[np.floating], label: int | None
) -> None:
    """Write row number, label and prediction above a digit and its bars."""
    prediction = int(probabilities.argmax())
    label_text = "" if label is None else f"label {label}, "
    cell.suptitle(
        f"row {row_id}: {label_text}predicted as {prediction} "
        f"({100 * probabilities[prediction]:.1f} %)",
        fontsize=10,
        **title_style(highlighted=label not in (None, prediction)),
    )


def _legend(labelled: bool) -> list[Patch]:
    """Return the legend's entries, for digits with or without known labels."""
    others = Patch(color=GREY, label="other digits")
    if not labelled:
        return [Patch(color=BLACK, label="prediction (label unknown)"), others]
    return [
        Patch(color=BLUE, label="label"),
        Patch(**_WRONG_BAR, label="wrong prediction"),
        others,
    ]


def _check_probabilities(probabilities: NDArray[np.floating], rows: int) -> None:
    """Raise ValueError unless there are up to `MOST_BARS` rows of ten probabilities."""
    if rows > MOST_BARS:
        raise ValueError(f"{rows} digits are given; 1 to {MOST_BARS} are needed")
    check_probability_shape(probabilities, rows)
    if not ((probabilities >= 0) & (probabilities <= 1 + _TOLERANCE)).all():
        raise ValueError("probabilities do not all lie in 0..1")
