"""Checks of labels, images and probabilities that run folders, scores and plots share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.spec import SPEC

# float32 probabilities sum to 1 within 1e-6. bfloat16 keeps 8 significant bits: each probability,
# and so their sum, is off by up to 0.4 %.
_SUM_TOLERANCE = 2e-2


def check_array(name: str, array: NDArray[Any], dtype: type, *shape: int) -> None:
    """Raise ValueError unless `array` has this shape, and `dtype` or a subtype of it.

    The message calls the array `name`, a plural.
    """
    if not np.issubdtype(array.dtype, dtype) or array.shape != shape:
        found, needed = f"{array.dtype} {list(array.shape)}", f"{dtype.__name__} {list(shape)}"
        raise ValueError(f"{name} are {found}; {needed} is needed")


def check_digits(name: str, array: NDArray[np.integer], rows: int) -> None:
    """Raise ValueError unless `array` is integers [`rows`] in 0..9 and `rows` > 0."""
    check_array(name, array, np.integer, rows)
    if not rows:
        raise ValueError(f"{name} have 0 rows; at least 1 is needed")
    if array.min() < 0 or array.max() >= SPEC.classes:
        raise ValueError(
            f"{name} lie in {array.min()}..{array.max()}; 0..{SPEC.classes - 1} is needed"
        )


def check_probabilities(probabilities: NDArray[np.floating], rows: int) -> None:
    """Raise ValueError unless `probabilities` is floats [`rows`, 10], 0 or more, and sums to 1.

    Each row must sum to 1 within 0.02.
    """
    check_array("probabilities", probabilities, np.floating, rows, SPEC.classes)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if not ((probabilities >= 0).all() and (np.abs(sums - 1) <= _SUM_TOLERANCE).all()):
        raise ValueError("probabilities must be 0 or more, in rows that sum to 1")


def check_rows(
    images: NDArray[np.uint8],
    row_ids: NDArray[np.integer],
    labels: NDArray[np.integer] | None = None,
    predictions: NDArray[np.integer] | None = None,
    *,
    most: int,
) -> None:
    """Raise ValueError unless the arrays belong to the same n digits, 1 <= n <= `most`.

    `images` must be uint8 [n, 28, 28, 1], `row_ids` integers [n]; `labels` and `predictions`
    integers [n] in 0..9, or None where unknown.
    """
    rows = len(images)
    check_array("images", images, np.uint8, rows, *SPEC.image_shape)
    if not 1 <= rows <= most:
        raise ValueError(f"{rows} digits are given; 1 to {most} are needed")
    check_array("row ids", row_ids, np.integer, rows)
    for name, digits in (("labels", labels), ("predictions", predictions)):
        if digits is not None:
            check_digits(name, digits, rows)
