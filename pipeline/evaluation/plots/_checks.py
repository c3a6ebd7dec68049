"""What several pictures ask of their arrays."""

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.checks import check_digits


def check_images(images: NDArray[np.uint8]) -> None:
    """Raise ValueError unless `images` are uint8 [n, 28, 28, 1] with n > 0."""
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28, 1) or not len(images):
        raise ValueError(
            f"images are {images.dtype} {list(images.shape)}; uint8 [n, 28, 28, 1] with n > 0 "
            "are needed"
        )


def check_integers(name: str, array: NDArray[np.integer] | None, rows: int) -> None:
    """Raise ValueError unless `array` is integers [`rows`], or None where it is unknown."""
    if array is None:
        return
    if array.shape != (rows,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"{name} are {array.dtype} {list(array.shape)}; integers [{rows}] are needed, "
            "one per image"
        )


def check_known_digits(name: str, array: NDArray[np.integer] | None, rows: int) -> None:
    """Raise ValueError unless `array` is integers [`rows`] in 0..9, or None where unknown."""
    if array is not None:
        check_digits(name, array, rows)
