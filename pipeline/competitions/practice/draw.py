"""Which digits of MNIST a practice competition labels, hides and counts as public.

Whoever has the draw has the hidden labels. Only the builder and the scorer may import this module:
a contract in pyproject.toml holds it.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from pipeline.data.spec import SPEC


class Hidden(NamedTuple):
    """The hidden labels, uint8 [28000] in the order of `test.csv`, and which are public, bool."""

    labels: NDArray[np.uint8]
    public: NDArray[np.bool_]

    def checksum(self) -> str:
        """Return the SHA-256 of the labels and of the choice of the public rows."""
        return hashlib.sha256(self.labels.tobytes() + self.public.tobytes()).hexdigest()


class Draw(NamedTuple):
    """The rows of MNIST in `train.csv` and `test.csv`, int64 [42000] and [28000]; the hidden rows.

    MNIST's rows are counted from 0, its training digits first.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    hidden: Hidden


def draw(labels: NDArray[np.uint8], seed: int) -> Draw:
    """Return the draw of `seed`, 0 <= `seed` < 2**32, given MNIST's labels, uint8 [70000].

    scikit-learn's `train_test_split` shuffles and splits, stratified by label; of the rows in
    `test.csv` it marks 7,000 as public, stratified too. Another version of scikit-learn may draw
    differently.
    """
    train, test = train_test_split(
        np.arange(len(labels)),
        train_size=SPEC.train_rows,
        test_size=SPEC.test_rows,
        random_state=seed,
        stratify=labels,
    )
    public_rows, _ = train_test_split(
        np.arange(SPEC.test_rows),
        train_size=SPEC.public_rows,
        random_state=seed,
        stratify=labels[test],
    )
    public = np.zeros(SPEC.test_rows, dtype=np.bool_)
    public[public_rows] = True
    return Draw(train, test, Hidden(labels[test], public))
