"""Labels, predictions and pixels as tables and text for a terminal or a notebook."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.spec import SPEC
from pipeline.evaluation.checks import check_digits


def crosstab(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> pd.DataFrame:
    """Count how often each true label (row) was predicted as each digit (column).

    Both arguments are integers [n] in 0..9, n > 0. The result has int64 counts for all ten digits
    and a last row and column "all" with the sums; its axes are named "true" and "predicted".
    Raises ValueError for another shape, type or range. Source: pandas.crosstab.
    """
    check_digits("labels", labels)
    check_digits("predictions", predictions, rows=len(labels))
    # Categories with dropna=False keep the digits that do not occur.
    digits = range(SPEC.classes)
    table = pd.crosstab(
        pd.Categorical(labels, categories=digits),
        pd.Categorical(predictions, categories=digits),
        rownames=["true"],
        colnames=["predicted"],
        margins=True,
        margins_name="all",
        dropna=False,
    )
    return table.astype(np.int64)


def confused(
    labels: NDArray[np.integer], predictions: NDArray[np.integer], true: int, predicted: int
) -> NDArray[np.int64]:
    """Return the positions of the rows labelled `true` and predicted as `predicted`, ascending.

    `labels` and `predictions` are integers [n] in 0..9, n > 0. `true` and `predicted` are digits
    and may be equal. The result is int64 [k] in 0..n-1; k is 0 if there is no such row. Raises
    ValueError for another shape, type or range.
    """
    check_digits("labels", labels)
    check_digits("predictions", predictions, rows=len(labels))
    for name, digit in (("true", true), ("predicted", predicted)):
        if not 0 <= digit < SPEC.classes:
            raise ValueError(f"{name} is {digit}; a digit from 0 to {SPEC.classes - 1} is needed")
    return np.flatnonzero((labels == true) & (predictions == predicted)).astype(np.int64)


def pixel_text(image: NDArray[np.uint8]) -> str:
    """Write the grey values of an image as text: 28 lines of 28 values, 112 characters wide.

    `image` is uint8 [28, 28] or [28, 28, 1], from 0 (paper) to 255 (ink). Each value is
    right-aligned in 4 characters. A dot stands for 0, which makes the digit's shape visible.
    Raises ValueError for another shape or type.
    """
    side = SPEC.side
    if image.dtype != np.uint8 or image.shape not in ((side, side), SPEC.image_shape):
        raise ValueError(
            f"the image is {image.dtype} {list(image.shape)}; uint8 [{side}, {side}] or "
            f"[{side}, {side}, 1] is needed"
        )
    lines = image.reshape(side, side).tolist()
    return "\n".join("".join(f"{value or '.':>4}" for value in line) for line in lines)
