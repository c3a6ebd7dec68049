"""Accuracy, log loss, interval, paired test and confusion table: pure functions of arrays.

All raise ValueError for an array of another shape or type than stated.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics

from pipeline.data.checks import check_array, check_digits, check_probabilities
from pipeline.data.spec import SPEC


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
    check_digits("labels", labels, len(labels))
    check_digits("predictions", predictions, len(labels))
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
    interval = binomtest(correct, n).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(low=float(interval.low), high=float(interval.high))


def mcnemar_exact(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> PairedTest:
    """Test whether two classifiers differ, given which of the same rows each gets right.

    Both arguments are bool [n]. Only the rows count that exactly one of the two gets right: if the
    classifiers are equally good, each wins such a row with probability 1/2. Without such a row the
    p-value is 1. Method: McNemar's test (Psychometrika 12, 1947), exact binomial form. Source:
    scipy.stats.binomtest.
    """
    check_array("the answers of a", correct_a, np.bool_, len(correct_a))
    check_array("the answers of b", correct_b, np.bool_, len(correct_a))
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
    check_digits("labels", labels, len(labels))
    check_probabilities(probabilities, len(labels))
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return float(metrics.log_loss(labels, exact, labels=range(SPEC.classes)))


def crosstab(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> pd.DataFrame:
    """Count how often each true label (row) was predicted as each digit (column).

    Both arguments are integers [n] in 0..9, n > 0. The result has int64 counts for all ten digits
    and a last row and column "all" with the sums; its axes are named "true" and "predicted".
    Source: pandas.crosstab.
    """
    check_digits("labels", labels, len(labels))
    check_digits("predictions", predictions, len(labels))
    table = pd.crosstab(
        pd.Series(labels, name="true"),
        pd.Series(predictions, name="predicted"),
        margins=True,
        margins_name="all",
    )
    axis = [*range(SPEC.classes), "all"]  # digits that do not occur too
    return table.reindex(index=axis, columns=axis, fill_value=0)
