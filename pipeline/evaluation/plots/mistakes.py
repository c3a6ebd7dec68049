"""The digits that a network gets wrong although it is sure."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

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
    """Draw up to `count` mistakes, those first whose wrong label got the highest probability.

    `images` is uint8 [n, 28, 28, 1], `labels` integers [n] in 0..9, `probabilities` floats
    [n, 10], `row_ids` integers [n], the rows' numbers as the picture shall name them. Without
    any mistake the picture says so. Raises ValueError when the lengths differ or `count` < 1.
    """
    rows = len(images)
    shapes = [labels.shape, row_ids.shape, probabilities.shape]
    if shapes != [(rows,), (rows,), (rows, 10)] or count < 1:
        raise ValueError(
            f"{rows} images, but labels, row ids and probabilities {shapes}, count {count}; "
            "[n], [n], [n, 10] and 1 or more are needed"
        )
    predictions = probabilities.argmax(axis=1)
    certainty = probabilities.max(axis=1)
    mistakes = np.flatnonzero(predictions != labels)
    shown = mistakes[np.argsort(-certainty[mistakes], kind="stable")][:count]
    if not len(shown):
        figure = Figure(figsize=(6, 2), layout="constrained")
        figure.text(0.5, 0.5, f"no mistakes in {rows:,} images", ha="center", va="center")
        return figure
    captions = [
        Caption(
            f"row {row_ids[row]}: {labels[row]}\nread as {predictions[row]} ({certainty[row]:.1%})"
        )
        for row in shown
    ]
    heading = f"{len(shown)} of {len(mistakes):,} mistakes in {rows:,} images, surest first"
    return draw_grid(images[shown], captions, heading, _COLUMNS, _CELL)
