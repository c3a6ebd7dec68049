"""Digits in a grid: consecutive rows, or any chosen rows."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.evaluation.checks import check_digits_if_known, check_images, check_row_ids
from pipeline.evaluation.plots._grid import Caption, Cell, draw_grid

MOST_DIGITS = 400
"""The most digits that one grid may show; it is 70 inches high then."""

_FEW = 25  # up to this many digits are drawn larger, in five columns


def digit_grid(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer] | None,
    predictions: NDArray[np.integer] | None,
    start: int = 0,
    count: int = 25,
    heading: str = "",
    row_ids: NDArray[np.integer] | None = None,
) -> Figure:
    """Draw `count` digits from position `start` on, or as many as there are.

    0 <= `start` < n and 1 <= `count` <= `MOST_DIGITS`. The line "rows ... to ..." below `heading`
    says which rows are drawn. For the other arguments, the captions and errors, see
    `digits_by_row`.
    """
    check_images(images)
    total = len(images)
    if not 0 <= start < total:
        raise ValueError(f"start is {start}; 0 to {total - 1} is needed")
    if not 1 <= count <= MOST_DIGITS:
        raise ValueError(f"count is {count}; 1 to {MOST_DIGITS} is needed")
    chosen = np.arange(start, min(start + count, total))
    first, last = chosen[[0, -1]] if row_ids is None else row_ids[chosen[[0, -1]]]
    rows = f"rows {first} to {last}: {len(chosen):,} of {total:,} digits"
    heading = f"{heading}\n{rows}".lstrip("\n")
    return digits_by_row(images, chosen, labels, predictions, row_ids, heading)


def digits_by_row(
    images: NDArray[np.uint8],
    chosen: NDArray[np.integer],
    labels: NDArray[np.integer] | None = None,
    predictions: NDArray[np.integer] | None = None,
    row_ids: NDArray[np.integer] | None = None,
    heading: str = "",
) -> Figure:
    """Draw the digits at the positions `chosen`, in their order.

    `images` is uint8 [n, 28, 28, 1], n > 0; `chosen` is integers [1..`MOST_DIGITS`] in 0..n-1;
    `labels` and `predictions` are integers [n] in 0..9, or None where unknown. The title of a
    digit is "7, 3" (label, prediction), "7" (label only) or "predicted as 3" (prediction only).
    Wrongly predicted digits are vermilion, bold and framed. Below a digit stands its row number
    from `row_ids`, integers [n], by default its position. Raises ValueError for another shape,
    type or range.
    """
    check_images(images)
    check_digits_if_known("labels", labels, len(images))
    check_digits_if_known("predictions", predictions, len(images))
    if row_ids is None:
        row_ids = np.arange(len(images))
    check_row_ids(row_ids, len(images))
    _check_chosen(chosen, len(images))
    captions = [
        _caption(
            int(row_ids[position]),
            None if labels is None else int(labels[position]),
            None if predictions is None else int(predictions[position]),
        )
        for position in chosen
    ]
    if len(chosen) <= _FEW:
        columns, cell = 5, Cell(width=1.8, height=2.35, title_size=11)
    else:
        columns, cell = 10, Cell(width=1.2, height=1.7, title_size=10)
    key = _title_key(labels is not None, predictions is not None)
    return draw_grid(images[chosen], captions, f"{heading}\n{key}".strip("\n"), columns, cell)


def _caption(row_id: int, label: int | None, prediction: int | None) -> Caption:
    """Return the caption of one digit; `label` and `prediction` are None where unknown."""
    row = f"row {row_id}"
    if label is None:
        return Caption("" if prediction is None else f"predicted as {prediction}", row)
    if prediction is None:
        return Caption(str(label), row)
    return Caption(f"{label}, {prediction}", row, highlighted=label != prediction)


def _title_key(with_label: bool, with_prediction: bool) -> str:
    """Return the line that explains the digits' titles; empty where they explain themselves."""
    if not with_label:
        return ""
    if not with_prediction:
        return "above each digit: label"
    return "above each digit: label, prediction (wrong ones framed)"


def _check_chosen(chosen: NDArray[np.integer], rows: int) -> None:
    """Raise ValueError unless `chosen` is 1 to `MOST_DIGITS` positions in 0..rows-1."""
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(f"chosen is {chosen.dtype} {list(chosen.shape)}; integers [k] are needed")
    if not 1 <= len(chosen) <= MOST_DIGITS:
        raise ValueError(f"{len(chosen)} digits are chosen; 1 to {MOST_DIGITS} are needed")
    if chosen.min() < 0 or chosen.max() >= rows:
        raise ValueError(f"chosen lies in {chosen.min()}..{chosen.max()}; 0..{rows - 1} is needed")
