"""What pure functions over arrays ask of digits: the one check that many of them share."""

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
"""Number of different labels, 0 to 9."""


def check_digits(name: str, array: NDArray[np.integer], rows: int | None = None) -> None:
    """Raise ValueError unless `array` is integers [n] in 0..9, with n > 0 and n == `rows`.

    `name` is what the message calls the array.
    """
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} are {array.dtype} {list(array.shape)}; integers [n] are needed")
    if not len(array) or (rows is not None and len(array) != rows):
        raise ValueError(f"{name} have {len(array)} rows; {rows or 'at least 1'} are needed")
    if array.min() < 0 or array.max() >= CLASSES:
        raise ValueError(f"{name} lie in {array.min()}..{array.max()}; 0..9 is needed")
