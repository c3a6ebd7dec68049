"""What a validation score says about the public score, and how well the two agree."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import betabinom, spearmanr

_JEFFREYS = 0.5
"""Both parameters of Jeffreys' prior for a share, Beta(1/2, 1/2)."""

_FEWEST_SUBMISSIONS = 5


def public_score_interval(
    correct: int, rows: int, public_rows: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the prediction interval of the accuracy on `public_rows` other rows.

    The same classifier gets `correct` of `rows` rows right, and all rows are drawn alike. Both ends
    are shares in [0, 1]. The interval is wider than a confidence interval, because the other rows
    are a sample too. 0 <= `correct` <= `rows`; `rows` and `public_rows` > 0;
    0 < `confidence` < 1; raises ValueError otherwise.

    Method: the beta-binomial predictive distribution with Jeffreys' prior, with equal tails, as in
    W. Q. Meeker, G. J. Hahn, L. A. Escobar, Statistical Intervals, 2nd edition, 2017;
    L. D. Brown, T. T. Cai, A. DasGupta, Stat. Sci. 16, 2001, on the prior.
    Source: scipy.stats.betabinom.
    """
    if not (0 <= correct <= rows and rows > 0 and public_rows > 0 and 0 < confidence < 1):
        raise ValueError(
            f"correct={correct}, rows={rows}, public_rows={public_rows}, confidence={confidence}: "
            "0 <= correct <= rows, 0 < rows, 0 < public_rows and 0 < confidence < 1 are needed"
        )
    right, wrong = correct + _JEFFREYS, rows - correct + _JEFFREYS
    tail = (1 - confidence) / 2
    # One sum over all scores is ten times as fast as betabinom.ppf, which searches with sums.
    shares = np.arange(public_rows + 1) / public_rows
    cumulated = betabinom.pmf(np.arange(public_rows + 1), public_rows, right, wrong).cumsum()
    low, high = shares[np.searchsorted(cumulated[:-1], [tail, 1 - tail])]
    return float(low), float(high)


def rank_correlation(validation: Sequence[float], public: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation of two scores of the same submissions, in [-1, 1].

    None with fewer than five submissions, or if all have the same score on one side. Raises
    ValueError for sequences of different lengths. Source: scipy.stats.spearmanr.
    """
    if len(validation) != len(public):
        raise ValueError(f"{len(validation)} validation and {len(public)} public scores")
    if len(public) < _FEWEST_SUBMISSIONS or min(np.ptp(validation), np.ptp(public)) == 0:
        return None
    return float(spearmanr(validation, public).statistic)
