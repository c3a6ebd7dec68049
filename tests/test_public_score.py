"""The expected public score against exact sums, and against simulated public rows."""

import math

import numpy as np
import pytest

from pipeline.evaluation.statistics.public_score import public_score_interval, rank_correlation


def predictive(correct: int, rows: int, public_rows: int) -> list[float]:
    """The beta-binomial probabilities, written out with the gamma function."""

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    a, b = correct + 0.5, rows - correct + 0.5
    return [
        math.comb(public_rows, k) * math.exp(log_beta(k + a, public_rows - k + b) - log_beta(a, b))
        for k in range(public_rows + 1)
    ]


@pytest.mark.parametrize(("correct", "rows"), [(97, 100), (100, 100), (0, 3), (5, 9)])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_interval_is_the_shortest_with_these_tails(
    correct: int, rows: int, confidence: float
) -> None:
    public_rows, tail = 40, (1 - confidence) / 2
    ends = public_score_interval(correct, rows, public_rows, confidence)
    low, high = (round(end * public_rows) for end in ends)
    shares = predictive(correct, rows, public_rows)
    assert sum(shares) == pytest.approx(1)
    assert sum(shares[:low]) < tail <= sum(shares[: low + 1])
    assert sum(shares[high + 1 :]) <= tail < sum(shares[high:])


def test_the_interval_of_a_usual_hold_out() -> None:
    low, high = public_score_interval(6270, 6300, 7000)
    assert (round(low, 5), round(high, 5)) == (0.99257, 0.99729)


@pytest.mark.parametrize("share", [0.97, 0.993, 0.997])
def test_simulated_public_scores_lie_inside_as_often_as_claimed(share: float) -> None:
    random = np.random.default_rng(0)
    draws = 1_500
    validation = random.binomial(6_300, share, draws)
    public = random.binomial(7_000, share, draws) / 7_000
    ends = np.array([public_score_interval(int(correct), 6_300, 7_000) for correct in validation])
    coverage = ((ends[:, 0] <= public) & (public <= ends[:, 1])).mean()
    assert 0.94 <= coverage <= 0.975


@pytest.mark.parametrize(
    ("correct", "rows", "public_rows", "confidence"),
    [(-1, 9, 9, 0.95), (10, 9, 9, 0.95), (0, 0, 9, 0.95), (1, 9, 0, 0.95), (1, 9, 9, 1.0)],
)
def test_counts_out_of_range_are_refused(
    correct: int, rows: int, public_rows: int, confidence: float
) -> None:
    with pytest.raises(ValueError, match="0 <= correct <= rows"):
        public_score_interval(correct, rows, public_rows, confidence)


def test_ranks_are_correlated_from_five_submissions_on() -> None:
    validation, public = [0.991, 0.992, 0.993, 0.994, 0.995], [0.990, 0.993, 0.992, 0.994, 0.996]
    # One pair of neighbours is swapped: 1 - 6 * 2 / (5 * 24).
    assert rank_correlation(validation, public) == pytest.approx(0.9)
    assert rank_correlation(validation[:4], public[:4]) is None
    assert rank_correlation([0.99] * 5, public) is None
    with pytest.raises(ValueError, match="5 validation and 4 public scores"):
        rank_correlation(validation, public[:4])
