"""How much too high a validation score is whose rows also chose the checkpoints."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.data.checks import check_digits, check_probabilities


class Optimism(NamedTuple):
    """By how much an accuracy is too high: `mean` and standard `deviation` over random halves."""

    mean: float
    deviation: float


def optimism(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    keep: int,
    splits: int = 200,
    seed: int = 0,
) -> Optimism:
    """Estimate the optimism of the accuracy of the `keep` best epochs, on the rows that chose them.

    `labels` is integers [rows] in 0..9, `probabilities` floats [epochs, rows, 10] of all epochs.
    Each of `splits` random halves of the rows chooses its best epochs: highest accuracy first,
    equal ones by loss. The mean of their probabilities is scored on both halves. The optimism is
    the accuracy on the choosing half minus that on the other, the mean over both directions, so
    that it does not matter which half is harder. It is divided by sqrt(2): twice as many rows make
    chance, by which epochs are chosen, smaller by that factor. Raises ValueError for other arrays.
    """
    check_digits("labels", labels, len(labels))
    for epoch in probabilities:
        check_probabilities(epoch, len(labels))
    right_label = probabilities[:, np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.maximum(right_label, np.finfo(np.float64).eps))
    correct = probabilities.argmax(axis=2) == labels
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(splits):
        halves = np.array_split(generator.permutation(len(labels)), 2)
        kept = [
            _kept_are_right(labels, probabilities, correct, losses, half, keep) for half in halves
        ]
        gains = [
            own[half].mean() - own[other].mean()
            for own, half, other in zip(kept, halves, reversed(halves), strict=True)
        ]
        found.append(np.mean(gains) / math.sqrt(2))
    return Optimism(float(np.mean(found)), float(np.std(found, ddof=1)))


def _kept_are_right(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    correct: NDArray[np.bool_],
    losses: NDArray[np.float64],
    rows: NDArray[np.integer],
    keep: int,
) -> NDArray[np.bool_]:
    """Return which rows the mean of the epochs gets right that are best on `rows`."""
    order = np.lexsort((losses[:, rows].mean(axis=1), -correct[:, rows].sum(axis=1)))
    right: NDArray[np.bool_] = probabilities[order[:keep]].mean(axis=0).argmax(axis=1) == labels
    return right
