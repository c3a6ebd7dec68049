"""The ten probabilities that a network gives to each of a few digits."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipeline.data.checks import check_probabilities, check_rows
from pipeline.data.spec import SPEC
from pipeline.evaluation.plots._grid import Caption, Layout, draw_digit, grid_figure, title_style
from pipeline.evaluation.plots.style import BLACK, BLUE, GREY, VERMILION

MOST_BARS = 30
"""The most digits that one plot of probabilities may show."""

_LAYOUT = Layout(columns=3, width=4.4, height=2.2, margin=1.0)  # one digit and its bars
_WRONG_BAR: dict[str, Any] = {"facecolor": VERMILION, "edgecolor": "white", "hatch": "////"}


def probability_bars(
    images: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer] | None,
    row_ids: NDArray[np.integer],
    heading: str = "",
) -> Figure:
    """Draw each digit beside a bar chart of its ten probabilities.

    `images` is uint8 [n, 28, 28, 1], 1 <= n <= `MOST_BARS`; `probabilities` is floats [n, 10], 0
    or more, in rows that sum to 1; `labels` is integers [n] in 0..9, or None where unknown;
    `row_ids` is integers [n], the row numbers to print. The prediction is the digit of the highest
    probability, the lowest such digit if there are several. The label's bar is blue, a wrong
    prediction's bar vermilion and hatched, all other bars grey. Without labels the prediction's
    bar is black. A legend explains the colours. Raises ValueError for another shape, type or
    range.
    """
    check_rows(images, row_ids, labels, most=MOST_BARS)
    check_probabilities(probabilities, len(images))
    figure, lines, columns = grid_figure(len(images), _LAYOUT, heading)
    # One subfigure per digit keeps an image closer to its own bars than to those of others.
    cells = figure.subfigures(lines, columns, squeeze=False, wspace=0.04, hspace=0.04).ravel()
    for position, cell in enumerate(cells[: len(images)]):
        label = None if labels is None else int(labels[position])
        _draw(cell, images[position], probabilities[position], label, int(row_ids[position]))
    marked = [Patch(color=BLACK, label="prediction (label unknown)")]
    if labels is not None:
        marked = [Patch(color=BLUE, label="label"), Patch(**_WRONG_BAR, label="wrong prediction")]
    others = Patch(color=GREY, label="other digits")
    figure.legend(handles=[*marked, others], loc="outside lower center", ncols=3)
    return figure


def _draw(
    cell: SubFigure,
    image: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    label: int | None,
    row_id: int,
) -> None:
    """Draw one digit and its ten probabilities below their title; `label` is None where unknown."""
    left, right = cell.subplots(1, 2, width_ratios=[1, 2])
    draw_digit(left, image, Caption(""))
    prediction = int(probabilities.argmax())
    bars = right.bar(range(SPEC.classes), probabilities, color=GREY)
    if label is None:
        bars[prediction].set(color=BLACK)
    else:
        bars[prediction].set(**_WRONG_BAR)
        bars[label].set(color=BLUE, hatch=None)
    right.set(xticks=range(SPEC.classes), yticks=(0, 0.5, 1), ylim=(0, 1))
    right.set_ylabel("probability", fontsize=8)
    right.tick_params(labelsize=8)
    right.tick_params(axis="x", length=0)
    right.spines[["top", "right"]].set_visible(False)
    label_text = "" if label is None else f"label {label}, "
    cell.suptitle(
        f"row {row_id}: {label_text}predicted as {prediction} "
        f"({100 * probabilities[prediction]:.1f} %)",
        fontsize=10,
        **title_style(highlighted=label not in (None, prediction)),
    )
