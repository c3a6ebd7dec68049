"""How far a network's confidence can be believed, for a reliability diagram."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation import scores

_BINS = 15


@dataclass(frozen=True)
class Bin:
    """The rows with a confidence in one range: their mean confidence, and how many are right.

    `interval` is the accuracy's Wilson 95 % interval. All but `rows` are in [0, 1].
    """

    confidence: float
    accuracy: float
    interval: tuple[float, float]
    rows: int


def reliability(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> list[Bin]:
    """Return the bins with rows, of 15 of equal width, as in Guo et al., ICML 2017.

    `labels` is integers [n] in 0..9, n > 0; `probabilities` is floats [n, 10].
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = []
    for place in np.unique(places):
        inside = places == place
        rows, correct = int(inside.sum()), int(right[inside].sum())
        interval = scores.wilson_interval(correct, rows)
        bins.append(Bin(float(confidence[inside].mean()), correct / rows, interval, rows))
    return bins
