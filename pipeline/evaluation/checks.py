"""Checks of labels, images and probabilities that scores, tables and plots share."""

import numpy as np
from numpy.typing import NDArray

from pipeline.data.spec import SPEC


def check_digits(name: str, array: NDArray[np.integer], rows: int | None = None) -> None:
    """Raise ValueError unless `array` is integers [n] in 0..9 with n > 0.

    Where `rows` is given, n must equal it. The message calls the array `name`, a plural.
    """
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} are {array.dtype} {list(array.shape)}; integers [n] are needed")
    if not len(array) or (rows is not None and len(array) != rows):
        raise ValueError(f"{name} have {len(array)} rows; {rows or 'at least 1'} are needed")
    if array.min() < 0 or array.max() >= SPEC.classes:
        raise ValueError(
            f"{name} lie in {array.min()}..{array.max()}; 0..{SPEC.classes - 1} is needed"
        )


def check_digits_if_known(name: str, array: NDArray[np.integer] | None, rows: int) -> None:
    """Raise ValueError unless `array` is None (unknown) or integers [`rows`] in 0..9."""
    if array is not None:
        check_digits(name, array, rows)


def check_images(images: NDArray[np.uint8]) -> None:
    """Raise ValueError unless `images` is uint8 [n, 28, 28, 1] with n > 0."""
    if images.dtype != np.uint8 or images.shape[1:] != SPEC.image_shape or not len(images):
        shape = ", ".join(map(str, SPEC.image_shape))
        raise ValueError(
            f"images are {images.dtype} {list(images.shape)}; uint8 [n, {shape}] with n > 0 "
            "are needed"
        )


def check_row_ids(row_ids: NDArray[np.integer], rows: int) -> None:
    """Raise ValueError unless `row_ids` is integers [`rows`]."""
    if row_ids.shape != (rows,) or not np.issubdtype(row_ids.dtype, np.integer):
        raise ValueError(
            f"row ids are {row_ids.dtype} {list(row_ids.shape)}; integers [{rows}] are needed, "
            "one per image"
        )


def check_probability_shape(probabilities: NDArray[np.floating], rows: int) -> None:
    """Raise ValueError unless `probabilities` has the shape [`rows`, 10]."""
    if probabilities.shape != (rows, SPEC.classes):
        raise ValueError(
            f"probabilities have the shape {list(probabilities.shape)}; "
            f"[{rows}, {SPEC.classes}] is needed"
        )
