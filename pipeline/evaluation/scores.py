"""Accuracy, log loss, confidence interval and paired test: pure functions of arrays.

All raise ValueError for an array of another shape or type than stated.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics

from pipeline.data.spec import SPEC
from pipeline.evaluation.checks import check_digits, check_probability_shape

# float32 probabilities sum to 1 within 1e-6. bfloat16 keeps 8 significant bits: each probability,
# and so their sum, is off by up to 0.4 %.
_SUM_TOLERANCE = 2e-2


class Interval(NamedTuple):
    """A confidence interval for a share: 0 <= `low` <= `high` <= 1."""

    low: float
    high: float


class PairedTest(NamedTuple):
    """The result of a test between two classifiers, a and b, on the same rows.

    `only_a` and `only_b` count the rows that only a, or only b, gets right. `p_value`, in (0, 1],
    is two-sided: the probability that two equally good classifiers differ at least this much.
    """

    only_a: int
    only_b: int
    p_value: float


def accuracy(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> float:
    """Return the share of predictions that equal the labels, in [0, 1].

    Both are integers [n] in 0..9, n > 0. Source: sklearn.metrics.accuracy_score.
    """
    check_digits("labels", labels)
    check_digits("predictions", predictions, rows=len(labels))
    return float(metrics.accuracy_score(labels, predictions))


def accuracy_with_interval(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> tuple[float, Interval]:
    """Return the accuracy of the most probable digits, in [0, 1], and its Wilson 95 % interval.

    `labels` is integers [n] in 0..9, n > 0; `probabilities` is floats [n, 10].
    """
    predictions = probabilities.argmax(axis=1)
    share = accuracy(labels, predictions)
    return share, wilson_interval(int((predictions == labels).sum()), len(labels))


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the confidence interval of an accuracy, given `correct` right answers out of `n`.

    0 <= `correct` <= `n`, `n` > 0, 0 < `confidence` < 1. Method: Wilson's score interval
    (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927). It stays valid near 100 %, where the usual
    mean +- 1.96 standard errors does not. Source: scipy.stats.binomtest.
    """
    if not 0 <= correct <= n or n == 0:
        raise ValueError(f"correct is {correct} of {n}; 0 <= correct <= n and n > 0 are needed")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; a number between 0 and 1 is needed")
    interval = binomtest(correct, n).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(low=float(interval.low), high=float(interval.high))


def mcnemar_exact(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> PairedTest:
    """Test whether two classifiers differ, given which of the same rows each gets right.

    Both arguments are bool [n]. Only the rows count that exactly one of the two gets right: if the
    classifiers are equally good, each wins such a row with probability 1/2. Without such a row the
    p-value is 1. Method: McNemar's test (Psychometrika 12, 1947), exact binomial form. Source:
    scipy.stats.binomtest.
    """
    for name, array in (("correct_a", correct_a), ("correct_b", correct_b)):
        if array.ndim != 1 or array.dtype != np.bool_ or array.shape != correct_a.shape:
            raise ValueError(
                f"{name} is {array.dtype} {list(array.shape)}; bool [n] of the same n are needed"
            )
    only_a = int(np.sum(correct_a & ~correct_b))
    only_b = int(np.sum(correct_b & ~correct_a))
    discordant = only_a + only_b
    p_value = float(binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0
    return PairedTest(only_a=only_a, only_b=only_b, p_value=p_value)


def log_loss(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Return the mean of -ln(probability of the right label), in nats, 0 or more.

    `labels` is integers [n] in 0..9, n > 0. `probabilities` is floats [n, 10] in [0, 1]; each row
    must sum to 1 within 0.02 and is scaled to sum to 1 exactly. A probability of 0 counts as
    2.2e-16. Source: sklearn.metrics.log_loss.
    """
    check_digits("labels", labels)
    check_probability_shape(probabilities, len(labels))
    exact = probabilities.astype(np.float64)
    sums = exact.sum(axis=1, keepdims=True)
    if not ((exact >= 0).all() and (np.abs(sums - 1) <= _SUM_TOLERANCE).all()):
        raise ValueError("probabilities must be 0 or more, in rows that sum to 1")
    return float(metrics.log_loss(labels, exact / sums, labels=range(SPEC.classes)))


def confusion(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> NDArray[np.int64]:
    """Count how often each label (row) was predicted as each digit (column): int64 [10, 10].

    Both arguments are integers [n] in 0..9, n > 0. Source: sklearn.metrics.confusion_matrix.
    """
    check_digits("labels", labels)
    check_digits("predictions", predictions, rows=len(labels))
    counts = metrics.confusion_matrix(labels, predictions, labels=range(SPEC.classes))
    return np.asarray(counts, dtype=np.int64)
