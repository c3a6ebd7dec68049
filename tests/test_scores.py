"""Scores against formulas written out here, not against the libraries that compute them."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from pipeline.data.digits import Digits
from pipeline.evaluation import scores

LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9], dtype=np.uint8)
PREDICTIONS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4, 7], dtype=np.int64)


def wilson(correct: int, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval by the formula of his paper, solved for both ends."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = correct / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return middle - half, middle + half


def test_accuracy_is_the_share_of_equal_labels() -> None:
    assert scores.accuracy(LABELS, PREDICTIONS) == 10 / 12


@pytest.mark.parametrize(("correct", "n"), [(6275, 6300), (27_900, 28_000), (1, 2), (0, 7), (7, 7)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_wilson_interval_agrees_with_its_formula(correct: int, n: int, confidence: float) -> None:
    interval = scores.wilson_interval(correct, n, confidence)
    assert interval == pytest.approx(wilson(correct, n, confidence), abs=1e-9)
    assert 0 <= interval.low <= correct / n <= interval.high <= 1


def test_wilson_interval_of_a_usual_hold_out() -> None:
    low, high = scores.wilson_interval(6275, 6300)
    assert (round(low, 5), round(high, 5)) == (0.99415, 0.99731)


@pytest.mark.parametrize(("only_a", "only_b"), [(12, 3), (3, 12), (5, 5), (1, 0), (40, 22)])
def test_mcnemar_p_value_is_twice_the_binomial_tail(only_a: int, only_b: int) -> None:
    a = np.array([True] * 100 + [False] * 9 + [True] * only_a + [False] * only_b)
    b = np.array([True] * 100 + [False] * 9 + [False] * only_a + [True] * only_b)
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(max(only_a, only_b), n + 1)) / 2**n
    test = scores.mcnemar_exact(a, b)
    assert (test.only_a, test.only_b) == (only_a, only_b)
    assert test.p_value == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


def test_mcnemar_of_equal_answers_has_p_value_1() -> None:
    same = np.array([True, False, True])
    assert scores.mcnemar_exact(same, same) == (0, 0, 1.0)


def test_log_loss_is_the_mean_negative_log_probability() -> None:
    labels = np.array([3, 0, 3])
    probabilities = np.full((3, 10), 0.05, dtype=np.float32)
    probabilities[[0, 1, 2], [3, 0, 4]] = 0.55
    expected = -(2 * math.log(0.55) + math.log(0.05)) / 3
    assert scores.log_loss(labels, probabilities) == pytest.approx(expected, rel=1e-6)


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    certain = np.eye(10, dtype=np.float32)[[4]]
    assert scores.log_loss(np.array([4]), certain) == pytest.approx(0, abs=1e-12)
    assert scores.log_loss(np.array([3]), certain) == pytest.approx(-math.log(2**-52), rel=1e-3)


def test_crosstab_counts_every_pair_and_the_sums(labelled: Digits) -> None:
    predictions = labelled.labels.copy()
    predictions[::7] = (predictions[::7] + 1) % 10
    counts = np.zeros((10, 10), dtype=np.int64)
    for label, prediction in zip(labelled.labels, predictions, strict=True):
        counts[label, prediction] += 1
    table = scores.crosstab(labelled.labels, predictions)
    assert list(table.index) == list(table.columns) == [*range(10), "all"]
    assert (table.index.name, table.columns.name) == ("true", "predicted")
    np.testing.assert_array_equal(table.to_numpy()[:10, :10], counts)
    np.testing.assert_array_equal(table["all"].to_numpy()[:10], counts.sum(axis=1))
    np.testing.assert_array_equal(table.loc["all"].to_numpy()[:10], counts.sum(axis=0))
    assert table.loc["all", "all"] == 800


def test_crosstab_keeps_digits_that_do_not_occur() -> None:
    table = scores.crosstab(LABELS[:1], PREDICTIONS[:1])
    assert table.shape == (11, 11)
    assert table.to_numpy().sum() == 4  # the one digit, its two sums and the total
    assert set(table.dtypes) == {np.dtype(np.int64)}


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predictions are int64 \[11\]; integer \[12\] is needed"):
        scores.accuracy(LABELS, PREDICTIONS[:-1])
    with pytest.raises(ValueError, match=r"labels have 0 rows; at least 1 is needed"):
        scores.accuracy(LABELS[:0], PREDICTIONS[:0])
    with pytest.raises(ValueError, match=r"labels lie in 0\.\.10; 0\.\.9 is needed"):
        scores.crosstab(np.array([0, 10]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"predictions are float64 \[12, 10\]; integer \[12\]"):
        scores.crosstab(LABELS, np.zeros((12, 10)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"labels are float64 \[12\]; integer \[12\]"):
        scores.crosstab(LABELS / 1, LABELS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"predictions are int64 \[11\]; integer \[12\]"):
        scores.crosstab(LABELS, PREDICTIONS[1:])
    with pytest.raises(ValueError, match="labels have 0 rows; at least 1 is needed"):
        scores.crosstab(LABELS[:0], PREDICTIONS[:0])
    with pytest.raises(ValueError, match=r"are float64 \[11, 10\]; floating \[12, 10\] is needed"):
        scores.log_loss(LABELS, np.full((11, 10), 0.1))
    with pytest.raises(ValueError, match="rows that sum to 1"):
        scores.log_loss(LABELS, np.full((12, 10), 0.2))
    with pytest.raises(ValueError, match="rows that sum to 1"):
        scores.log_loss(LABELS, np.full((12, 10), np.nan))
    with pytest.raises(ValueError, match=r"k \(8\) must not be greater than n \(7\)"):
        scores.wilson_interval(8, 7)
    with pytest.raises(
        ValueError, match=r"confidence_level \(95\) must be in the interval \[0, 1\]"
    ):
        scores.wilson_interval(6, 7, confidence=95)
    with pytest.raises(ValueError, match=r"answers of b are bool \[2\]; bool \[1\] is needed"):
        scores.mcnemar_exact(np.array([True]), np.array([True, False]))
    with pytest.raises(ValueError, match=r"answers of a are int64 \[1\]; bool \[1\]"):
        scores.mcnemar_exact(np.array([1]), np.array([True]))
