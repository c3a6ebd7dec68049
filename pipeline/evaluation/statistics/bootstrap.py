"""Intervals by resampling rows, for scores that have no formula for theirs."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from threadpoolctl import threadpool_limits

from pipeline.evaluation.scores import Interval
from pipeline.evaluation.statistics.variance import CONFIDENCE, components_of_mean, values_of

REPLICATES = 1000

_AT_ONCE = 8_000_000
"""Counts per matrix product, 32 MB. In smaller ones, threads would wait for each other longer."""


def resampled_means(columns: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the means of `columns`, floats [rows, k], in 1,000 resamples: float64 [1000, k].

    Each draws as many rows, with replacement. The same number of rows gives the same draws.
    """
    counts = _counts(len(columns))
    narrow = columns.astype(np.float32)
    step = max(_AT_ONCE // len(columns), 1)
    # On a busy machine, the threads of one product wait for each other, which takes 40 times as
    # long (measured).
    with threadpool_limits(1, user_api="blas"):
        means = [
            counts[start : start + step].astype(np.float32) @ narrow
            for start in range(0, REPLICATES, step)
        ]
    return np.concatenate(means).astype(np.float64) / len(columns)


def bca_interval(
    estimate: float, replicates: NDArray[np.floating], values: NDArray[np.floating]
) -> Interval:
    """Return the bias-corrected and accelerated 95 % interval.

    `replicates` are the estimates of the resamples. `values`, floats [rows], are the values whose
    mean `estimate` is; their skewness gives the acceleration. Method: B. Efron, J. Am. Stat. Assoc.
    82 (1987), 171-185.
    """
    below = np.mean(replicates < estimate) + np.mean(replicates == estimate) / 2
    bias = float(ndtri(np.clip(below, 1 / REPLICATES, 1 - 1 / REPLICATES)))
    centred = values - values.mean()
    spread = float(np.sum(centred**2))
    acceleration = float(np.sum(centred**3)) / (6 * spread**1.5) if spread else 0.0
    quantile = float(ndtri((1 + CONFIDENCE) / 2))
    shifted = np.array([bias - quantile, bias + quantile])
    low, high = np.quantile(replicates, ndtr(bias + shifted / (1 - acceleration * shifted)))
    return Interval(min(float(low), estimate), max(float(high), estimate))


def widened(interval: Interval, estimate: float, values: NDArray[np.floating]) -> Interval:
    """Return an interval that accounts for the seeds too, from one that accounts for the rows.

    `values`, floats [seeds, rows], has the mean `estimate`. Both sides grow by the factor by which
    the 95 % reach grows if seeds are a crossed random factor (variance.py); with one seed, or
    one row, nothing changes. The lower end is at least 0.
    """
    if min(values.shape) == 1:
        return interval
    summed = values_of(values)
    rows_alone = float(summed.of_rows.var(ddof=1)) / len(summed.of_rows)
    if not rows_alone:
        return interval
    reach = components_of_mean(summed).variance().reach
    factor = reach / (float(ndtri((1 + CONFIDENCE) / 2)) * rows_alone**0.5)
    low, high = (estimate + factor * (end - estimate) for end in interval)
    return Interval(max(low, 0.0), high)


@lru_cache(maxsize=2)
def _counts(rows: int) -> NDArray[np.uint8]:
    """Return how often each resample draws each row, uint8 [1000, rows].

    It is kept for the next run, most often of the same number of rows: 42 MB for 42,000. No row is
    drawn more than 255 times but in a resample of fewer than two rows.
    """
    generator = np.random.default_rng(0)
    counts = np.empty((REPLICATES, rows), np.uint8)
    for number in range(REPLICATES):
        counts[number] = np.bincount(generator.integers(0, rows, rows), minlength=rows)
    return counts
