"""What a network makes of single digits: the probabilities of all ten."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipeline.evaluation.checks import CLASSES
from pipeline.evaluation.plots._checks import check_images, check_integers, check_known_digits
from pipeline.evaluation.plots._colours import BLACK, BLUE, GREY, VERMILION
from pipeline.evaluation.plots._grid import NARROWEST, Caption, show_digit, wrapped

MOST_BARS = 30
"""Digits in one picture of probabilities at most."""

_COLUMNS = 3
_TOLERANCE = 1e-3  # means of float32 probabilities may exceed 1 in the last places
_WIDTH, _HEIGHT = 4.4, 2.2  # inches for one digit and its bars
_HATCH = "////"


def probability_bars(
    images: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer] | None,
    row_ids: NDArray[np.integer],
    heading: str = "",
) -> Figure:
    """Draw every digit beside a bar chart of its ten probabilities.

    `images` is uint8 [n, 28, 28, 1], 1 <= n <= `MOST_BARS`; `probabilities` is floats [n, 10] in
    [0, 1]; `labels` is integers [n] in 0..9, or None where unknown; `row_ids` is integers [n], the
    rows' numbers as the picture shall name them. The prediction is the highest probability, the
    lowest digit among equals. The label's bar is blue, a wrong prediction's vermilion and hatched,
    all others grey; without labels the prediction's bar is black. A legend says so. Raises
    ValueError for another shape, type or range.
    """
    check_images(images)
    check_known_digits("labels", labels, len(images))
    check_integers("row ids", row_ids, len(images))
    _check(probabilities, len(images))
    columns = min(_COLUMNS, len(images))
    lines = -(-len(images) // columns)
    width = max(_WIDTH * columns, NARROWEST)
    title = wrapped(heading, width)
    height = _HEIGHT * lines + 0.3 * title.count("\n") + 1.0
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(title)
    # One part a digit, so that its image stands nearer to its own bars than to the others'.
    parts = figure.subfigures(lines, columns, squeeze=False, wspace=0.04, hspace=0.04).ravel()
    for place, part in enumerate(parts[: len(images)]):
        left, right = part.subplots(1, 2, width_ratios=[1, 2])
        show_digit(left, images[place], Caption(""))
        label = None if labels is None else int(labels[place])
        _draw_bars(right, probabilities[place], label)
        _name(part, f"row {row_ids[place]}", probabilities[place], label)
    figure.legend(handles=_legend(labels is not None), loc="outside lower center", ncols=3)
    return figure


def _draw_bars(axes: Axes, probabilities: NDArray[np.floating], label: int | None) -> None:
    """Draw the ten probabilities of one digit; `label` is None where unknown."""
    prediction = int(probabilities.argmax())
    bars = axes.bar(range(CLASSES), probabilities, color=GREY)
    if label is None:
        bars[prediction].set(color=BLACK)
    else:
        bars[prediction].set(facecolor=VERMILION, edgecolor="white", hatch=_HATCH)
        bars[label].set(color=BLUE, hatch=None)
    axes.set(xticks=range(CLASSES), yticks=(0, 0.5, 1), ylim=(0, 1))
    axes.set_ylabel("probability", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="x", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _name(
    part: SubFigure, row: str, probabilities: NDArray[np.floating], label: int | None
) -> None:
    """Say above an image and its bars which row it is, its label and what it was read as."""
    prediction = int(probabilities.argmax())
    wrong = label is not None and label != prediction
    known = "" if label is None else f"label {label}, "
    part.suptitle(
        f"{row}: {known}read as {prediction} ({100 * probabilities[prediction]:.1f} %)",
        fontsize=10,
        color=VERMILION if wrong else BLACK,
        fontweight="bold" if wrong else "normal",
    )


def _legend(labelled: bool) -> list[Patch]:
    """Return the explained colours of the bars, with or without known labels."""
    others = Patch(color=GREY, label="other digits")
    if not labelled:
        return [Patch(color=BLACK, label="what it was read as (label unknown)"), others]
    return [
        Patch(color=BLUE, label="label"),
        Patch(facecolor=VERMILION, edgecolor="white", hatch=_HATCH, label="read as, wrongly"),
        others,
    ]


def _check(probabilities: NDArray[np.floating], rows: int) -> None:
    """Raise ValueError unless there are up to `MOST_BARS` rows of ten probabilities."""
    if rows > MOST_BARS:
        raise ValueError(f"{rows} digits are given; 1 to {MOST_BARS} are needed")
    if probabilities.shape != (rows, CLASSES):
        raise ValueError(
            f"probabilities have the shape {list(probabilities.shape)}; "
            f"[{rows}, {CLASSES}] is needed"
        )
    if not ((probabilities >= 0) & (probabilities <= 1 + _TOLERANCE)).all():
        raise ValueError("probabilities do not all lie in 0..1")
