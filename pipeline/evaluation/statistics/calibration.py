"""Whether probabilities can be believed: log loss, calibration error, reliability diagram.

All take labels, integers [rows] in 0..9, and probabilities, floats [rows, 10] in rows that sum to
1 or, for a recipe with several seeds, [seeds, rows, 10]. They raise ValueError for other arrays.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from pipeline.data.checks import check_digits, check_probabilities
from pipeline.evaluation.scores import Interval, wilson_interval
from pipeline.evaluation.statistics.bootstrap import bca_interval, resampled_means, widened
from pipeline.evaluation.statistics.variance import CONFIDENCE

BINS = 15
"""Of equal width, of the confidence: the probability of the predicted digit."""

_TAILS = (1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2


class Bin(NamedTuple):
    """The `rows` whose confidence is in (`low`, `high`], for a reliability diagram.

    `confidence` is its mean. `accuracy` is the share of right predictions, `interval` Wilson's
    95 % interval for it. All are in [0, 1].
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float
    interval: Interval


def mean_log_loss(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Return the log loss, in nats; of several seeds, the mean of theirs."""
    return float(_losses(labels, _by_seed(labels, probabilities)).mean())


def log_loss_interval(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> Interval:
    """Return the 95 % interval of the log loss, in nats: bootstrap, BCa.

    For several seeds it is the interval of the recipe's log loss; see `bootstrap.widened`.
    """
    return score_intervals(labels, [probabilities])[0][0]


def calibration_error(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Return the expected calibration error, in [0, 1]; of several seeds, the mean of theirs.

    It is the mean, over all rows, of |accuracy - mean confidence| in the row's bin. Method:
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, ICML 2017, with their 15 bins of equal width.
    """
    gaps = _gaps(labels, _by_seed(labels, probabilities))
    return float(np.abs(gaps.mean(axis=1)).sum(axis=1).mean())


def calibration_error_interval(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> Interval:
    """Return the 95 % interval of the expected calibration error, in [0, 1].

    Chance makes a gap in every bin, so the error of a well calibrated network is too high, and its
    resamples even more so: an interval of their percentiles covers nothing. This one holds every
    error for which the observed one is neither too high nor too low to be likely, with all gaps
    larger or smaller by one factor. Method: test inversion bootstrap (J. Carpenter, Journal of the
    Royal Statistical Society B 61, 1999, 159-172). For several seeds see `bootstrap.widened`.
    """
    return score_intervals(labels, [probabilities])[0][1]


def score_intervals(
    labels: NDArray[np.integer], recipes: Sequence[NDArray[np.floating]]
) -> list[tuple[Interval, Interval]]:
    """Return the intervals of the log loss and of the calibration error of several recipes.

    Each of `recipes` holds probabilities as above, of the same rows. Together they take a fraction
    of the time that they take one by one.
    """
    exact = [_by_seed(labels, probabilities) for probabilities in recipes]
    losses = [_losses(labels, one) for one in exact]
    gaps = [_gaps(labels, one) for one in exact]
    columns = [
        np.column_stack([loss.mean(axis=0), gap.transpose(1, 0, 2).reshape(len(labels), -1)])
        for loss, gap in zip(losses, gaps, strict=True)
    ]
    ends = np.cumsum([one.shape[1] for one in columns])[:-1]
    replicates = np.split(resampled_means(np.concatenate(columns, axis=1)), ends, axis=1)
    return [
        (_loss_interval(loss, means[:, 0]), _gap_interval(gap, means[:, 1:]))
        for loss, gap, means in zip(losses, gaps, replicates, strict=True)
    ]


def _loss_interval(losses: NDArray[np.float64], replicates: NDArray[np.float64]) -> Interval:
    of_rows = losses.mean(axis=0)
    mean = float(of_rows.mean())
    return widened(bca_interval(mean, replicates, of_rows), mean, losses)


def _gap_interval(gaps: NDArray[np.float64], replicates: NDArray[np.float64]) -> Interval:
    """Invert a test, as `calibration_error_interval` says, given [resamples, seeds x bins]."""
    means = gaps.mean(axis=1)
    estimate = float(np.abs(means).sum(axis=1).mean())
    filled = gaps.any(axis=1).ravel()
    observed = means.ravel()[filled]
    noise = replicates[:, filled] - observed

    def excess(factor: float, share: float) -> float:
        """Return the error that `share` of the resamples stay below, minus the observed one."""
        errors = np.abs(factor * observed + noise).sum(axis=1) / len(gaps)
        return float(np.quantile(errors, share)) - estimate

    low, high = (_factor(partial(excess, share=share)) for share in _TAILS) if estimate else (1, 1)
    values = np.einsum("srb,sb->sr", gaps, np.sign(means))  # their mean is the estimate
    interval = Interval(min(low, 1.0) * estimate, max(high, 1.0) * estimate)
    return widened(interval, estimate, values)


def reliability(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> list[Bin]:
    """Return the bins of the reliability diagram that have rows; `probabilities` is [rows, 10]."""
    (seed,) = _by_seed(labels, probabilities)
    confidence, correct, bins = seed.max(axis=1), seed.argmax(axis=1) == labels, _bins(seed)
    found = []
    for number in np.unique(bins):
        inside = bins == number
        rows, right = int(inside.sum()), int(correct[inside].sum())
        found.append(
            Bin(
                low=float(number / BINS),
                high=float((number + 1) / BINS),
                rows=rows,
                confidence=float(confidence[inside].mean()),
                accuracy=right / rows,
                interval=wilson_interval(right, rows),
            )
        )
    return found


def _factor(excess: Callable[[float], float]) -> float:
    """Return where a function that grows becomes positive, 0 or more, to 0.001."""
    if excess(0.0) >= 0:
        return 0.0
    high = 2.0
    while excess(high) < 0:
        high *= 2
    return float(brentq(excess, 0.0, high, xtol=1e-3))


def _by_seed(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Check the arrays. Return probabilities [seeds, rows, 10] in rows that sum to 1 exactly."""
    check_digits("labels", labels, len(labels))
    seeds = probabilities if probabilities.ndim == 3 else probabilities[np.newaxis]
    if not len(seeds):
        raise ValueError("probabilities have 0 seeds; at least 1 is needed")
    for seed in seeds:
        check_probabilities(seed, len(labels))
    exact = seeds.astype(np.float64)
    exact /= exact.sum(axis=2, keepdims=True)
    return exact


def _losses(labels: NDArray[np.integer], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -ln(probability of the right label), [seeds, rows], as sklearn.metrics.log_loss."""
    right = probabilities[:, np.arange(len(labels)), labels]
    least = np.finfo(np.float64).eps
    losses: NDArray[np.float64] = -np.log(np.clip(right, least, 1 - least))
    return losses


def _bins(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of each row's bin, from 0, int64 [..., rows]."""
    upper = np.ceil(probabilities.max(axis=-1) * BINS).astype(np.int64)
    bins: NDArray[np.int64] = np.clip(upper, 1, BINS) - 1
    return bins


def _gaps(labels: NDArray[np.integer], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return right (1) or wrong (0) minus confidence, in the column of its bin.

    It is float64 [seeds, rows, bins], 0 in the other columns: the calibration error is the sum,
    over the bins, of the absolute means over the rows.
    """
    right = probabilities.argmax(axis=2) == labels
    columns = np.eye(BINS)[_bins(probabilities)]
    gaps: NDArray[np.float64] = columns * (right - probabilities.max(axis=2))[..., np.newaxis]
    return gaps
