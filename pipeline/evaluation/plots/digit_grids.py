"""Digits side by side: consecutive rows, or any rows chosen."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.evaluation.plots._checks import check_images, check_integers, check_known_digits
from pipeline.evaluation.plots._grid import Caption, Cell, draw_grid

MOST_DIGITS = 400
"""Digits in one picture at most: it is 70 inches high then."""

_FEW = 25  # up to so many digits stand larger, five beside each other


def digit_grid(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer] | None,
    predictions: NDArray[np.integer] | None,
    start: int = 0,
    count: int = 25,
    heading: str = "",
    row_ids: NDArray[np.integer] | None = None,
) -> Figure:
    """Draw `count` digits from position `start` on; fewer when the digits end before.

    `images` is uint8 [n, 28, 28, 1], n > 0; `labels` and `predictions` are integers [n] in 0..9
    or None where unknown. 0 <= `start` < n and 1 <= `count` <= `MOST_DIGITS`. Above a digit stands
    "7" (its label), "7, 3" (its label, what it was read as) or "read as 3" (no label known), below
    it its row: from `row_ids`, integers [n], or its position, counted from 0. Digits read wrongly
    are vermilion, bold and framed. The rows shown stand below `heading`. Raises ValueError for
    another shape, type or range.
    """
    check_images(images)
    total = len(images)
    if not 0 <= start < total:
        raise ValueError(f"start is {start}; 0 to {total - 1} is needed")
    if not 1 <= count <= MOST_DIGITS:
        raise ValueError(f"count is {count}; 1 to {MOST_DIGITS} is needed")
    chosen = np.arange(start, min(start + count, total))
    first, last = chosen[[0, -1]] if row_ids is None else row_ids[chosen[[0, -1]]]
    shown = f"rows {first} to {last}: {len(chosen):,} of {total:,} digits"
    heading = f"{heading}\n{shown}".lstrip("\n")
    return digits_by_row(images, chosen, labels, predictions, row_ids, heading)


def digits_by_row(
    images: NDArray[np.uint8],
    chosen: NDArray[np.integer],
    labels: NDArray[np.integer] | None = None,
    predictions: NDArray[np.integer] | None = None,
    row_ids: NDArray[np.integer] | None = None,
    heading: str = "",
) -> Figure:
    """Draw the digits at the positions `chosen`, in their order, as `digit_grid` does.

    `images` is uint8 [n, 28, 28, 1], n > 0; `chosen` is integers [1..`MOST_DIGITS`] in 0..n-1;
    `labels` and `predictions` are integers [n] in 0..9 or None where unknown; `row_ids` is
    integers [n], the rows' numbers as the picture shall name them, by default their positions.
    Raises ValueError for another shape, type or range.
    """
    check_images(images)
    check_known_digits("labels", labels, len(images))
    check_known_digits("predictions", predictions, len(images))
    check_integers("row ids", row_ids, len(images))
    _check_chosen(chosen, len(images))
    captions = [_caption(row, labels, predictions, row_ids) for row in chosen.tolist()]
    if len(chosen) <= _FEW:
        columns, cell = 5, Cell(width=1.8, height=2.35, title_size=11)
    else:
        columns, cell = 10, Cell(width=1.2, height=1.7, title_size=10)
    key = _key(labels, predictions)
    return draw_grid(images[chosen], captions, f"{heading}\n{key}".strip("\n"), columns, cell)


def _caption(
    row: int,
    labels: NDArray[np.integer] | None,
    predictions: NDArray[np.integer] | None,
    row_ids: NDArray[np.integer] | None,
) -> Caption:
    """Say what is known about the digit at position `row`."""
    name = f"row {row if row_ids is None else row_ids[row]}"
    if labels is None:
        return Caption("" if predictions is None else f"read as {predictions[row]}", name)
    if predictions is None:
        return Caption(f"{labels[row]}", name)
    wrong = bool(labels[row] != predictions[row])
    return Caption(f"{labels[row]}, {predictions[row]}", name, stands_out=wrong)


def _key(labels: NDArray[np.integer] | None, predictions: NDArray[np.integer] | None) -> str:
    """Explain the titles that need it."""
    if labels is None:
        return ""
    if predictions is None:
        return "above each digit: label"
    return "above each digit: label, read as (wrong ones framed)"


def _check_chosen(chosen: NDArray[np.integer], rows: int) -> None:
    """Raise ValueError unless `chosen` is 1 to `MOST_DIGITS` positions in 0..rows-1."""
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(f"chosen is {chosen.dtype} {list(chosen.shape)}; integers [k] are needed")
    if not 1 <= len(chosen) <= MOST_DIGITS:
        raise ValueError(f"{len(chosen)} digits are chosen; 1 to {MOST_DIGITS} are needed")
    if chosen.min() < 0 or chosen.max() >= rows:
        raise ValueError(f"chosen lies in {chosen.min()}..{chosen.max()}; 0..{rows - 1} is needed")
