"""Digits and predictions as tables and text, for reading in a terminal."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.checks import CLASSES, check_digits

_SIDE = 28


def crosstab(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> pd.DataFrame:
    """Count how often each true label (row) was predicted as each digit (column).

    Both arguments are integers [n] in 0..9. The result has int64 counts, all ten digits as rows
    and columns, and the sums in a last row and column named "all"; its axes are named "true" and
    "predicted". Raises ValueError for another shape, type or range. Source: pandas.crosstab.
    """
    check_digits("labels", labels)
    check_digits("predictions", predictions, rows=len(labels))
    # Categories, with dropna=False, keep the digits that do not occur.
    digits = range(CLASSES)
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

    `labels` and `predictions` are integers [n] in 0..9, and so are the two digits, which may be
    equal. The result is int64 [k] in 0..n-1, empty if there is no such row. Raises ValueError for
    another shape, type or range.
    """
    check_digits("labels", labels)
    check_digits("predictions", predictions, rows=len(labels))
    for name, digit in (("true", true), ("predicted", predicted)):
        if not 0 <= digit < CLASSES:
            raise ValueError(f"{name} is {digit}; a digit from 0 to 9 is needed")
    found = np.flatnonzero((labels == true) & (predictions == predicted))
    return found.astype(np.int64)


def pixel_text(image: NDArray[np.uint8]) -> str:
    """Write the grey values of an image as text: 28 lines of 28 values, 112 characters wide.

    `image` is uint8 [28, 28] or [28, 28, 1], 0 (paper) to 255 (ink). Values are right-aligned in
    4 characters; 0 is written as a dot, so that the digit's shape can be seen. Raises ValueError
    for another shape or type.
    """
    if image.dtype != np.uint8 or image.shape not in ((_SIDE, _SIDE), (_SIDE, _SIDE, 1)):
        raise ValueError(
            f"the image is {image.dtype} {list(image.shape)}; uint8 [28, 28] or [28, 28, 1] "
            "is needed"
        )
    lines = image.reshape(_SIDE, _SIDE).tolist()
    return "\n".join("".join(f"{value or '.':>4}" for value in line) for line in lines)
