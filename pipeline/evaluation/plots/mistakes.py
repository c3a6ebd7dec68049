"""The wrong predictions of which a network is most certain."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.evaluation.checks import (
    check_digits,
    check_images,
    check_probability_shape,
    check_row_ids,
)
from pipeline.evaluation.plots._grid import Caption, Cell, draw_grid

_COLUMNS = 5
_CELL = Cell(width=2.0, height=2.3, title_size=9)


def worst_mistakes(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    row_ids: NDArray[np.integer],
    count: int = 25,
) -> Figure:
    """Draw up to `count` wrong predictions, the most certain first.

    `images` is uint8 [n, 28, 28, 1], n > 0; `labels` is integers [n] in 0..9; `probabilities` is
    floats [n, 10]; `row_ids` is integers [n], the row numbers to print. If no prediction is wrong,
    the picture says so. Raises ValueError for another shape, type or range, or if `count` < 1.
    """
    check_images(images)
    rows = len(images)
    check_digits("labels", labels, rows)
    check_probability_shape(probabilities, rows)
    check_row_ids(row_ids, rows)
    if count < 1:
        raise ValueError(f"count is {count}; 1 or more is needed")
    predictions = probabilities.argmax(axis=1)
    certainty = probabilities.max(axis=1)
    mistakes = np.flatnonzero(predictions != labels)
    worst = mistakes[np.argsort(-certainty[mistakes], kind="stable")][:count]
    if not len(worst):
        figure = Figure(figsize=(6, 2), layout="constrained")
        figure.text(0.5, 0.5, f"no mistakes in {rows:,} images", ha="center", va="center")
        return figure
    captions = [
        Caption(
            f"row {row_ids[row]}: label {labels[row]}\n"
            f"predicted as {predictions[row]} ({100 * certainty[row]:.1f} %)"
        )
        for row in worst
    ]
    heading = f"{len(worst)} of {len(mistakes):,} mistakes in {rows:,} images, most certain first"
    return draw_grid(images[worst], captions, heading, _COLUMNS, _CELL)
