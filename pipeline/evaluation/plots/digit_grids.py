"""Digits in a grid: any digits with their labels and predictions, or the worst mistakes."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.data.checks import check_digits, check_probabilities, check_rows
from pipeline.evaluation.plots._grid import Caption, Layout, draw_grid

MOST_DIGITS = 400
"""The most digits that one grid may show; it is 70 inches high then."""

_FEW = 25  # up to this many digits are drawn larger
_LARGE = Layout(columns=5, width=1.8, height=2.35, title_size=11)
_SMALL = Layout(columns=10, width=1.2, height=1.7, title_size=10)
_MISTAKES = Layout(columns=5, width=2.0, height=2.3, title_size=9)


def digit_grid(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer] | None,
    predictions: NDArray[np.integer] | None,
    row_ids: NDArray[np.integer],
    heading: str = "",
) -> Figure:
    """Draw digits in their order.

    `images` is uint8 [n, 28, 28, 1], 1 <= n <= `MOST_DIGITS`; `labels` and `predictions` are
    integers [n] in 0..9, or None where unknown; `row_ids` is integers [n], the row numbers to
    print below the digits. The title of a digit is "7, 3" (label, prediction), "7" (label only) or
    "predicted as 3" (prediction only). Wrongly predicted digits are vermilion, bold and framed.
    Raises ValueError for another shape, type or range.
    """
    check_rows(images, row_ids, labels, predictions, most=MOST_DIGITS)
    wrong = np.zeros(len(images), dtype=np.bool_)
    if labels is not None and predictions is not None:
        titles = [f"{label}, {digit}" for label, digit in zip(labels, predictions, strict=True)]
        wrong = labels != predictions
        heading += "\nabove each digit: label, prediction (wrong ones framed)"
    elif labels is not None:
        titles = [f"{label}" for label in labels]
        heading += "\nabove each digit: label"
    elif predictions is not None:
        titles = [f"predicted as {digit}" for digit in predictions]
    else:
        titles = [""] * len(images)
    captions = [
        Caption(title, f"row {row}", bool(framed))
        for title, row, framed in zip(titles, row_ids, wrong, strict=True)
    ]
    return draw_grid(images, captions, _LARGE if len(images) <= _FEW else _SMALL, heading)


def worst_mistakes(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    row_ids: NDArray[np.integer],
    count: int = 25,
    title: str = "",
) -> Figure:
    """Draw up to `count` > 0 wrong predictions, the most certain first, below a `title`.

    `images` is uint8 [n, 28, 28, 1], n > 0; `labels` is integers [n] in 0..9; `probabilities` is
    floats [n, 10]; `row_ids` is integers [n], the row numbers to print. If no prediction is wrong,
    the picture says so. Raises ValueError for labels or probabilities of another shape, type or
    range.
    """
    rows = len(images)
    check_digits("labels", labels, rows)
    check_probabilities(probabilities, rows)
    predictions = probabilities.argmax(axis=1)
    certainty = probabilities.max(axis=1)
    mistakes = np.flatnonzero(predictions != labels)
    worst = mistakes[np.argsort(-certainty[mistakes], kind="stable")][:count]
    if not len(worst):
        figure = Figure(figsize=(6, 2), layout="constrained")
        figure.suptitle(title)
        figure.text(0.5, 0.5, f"no mistakes in {rows:,} images", ha="center", va="center")
        return figure
    captions = [
        Caption(
            f"row {row_ids[row]}: label {labels[row]}\n"
            f"predicted as {predictions[row]} ({100 * certainty[row]:.1f} %)"
        )
        for row in worst
    ]
    counts = f"{len(worst)} of {len(mistakes):,} mistakes in {rows:,} images, most certain first"
    return draw_grid(images[worst], captions, _MISTAKES, f"{title}\n{counts}")
