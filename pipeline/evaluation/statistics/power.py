"""What it would take to find a difference: more rows, or more seeds.

The difference that was seen is taken for the true one. That is rough: to find one half as large
takes four times as many rows.
"""

from collections.abc import Callable

from statsmodels.stats.power import normal_power, ttest_power

from pipeline.evaluation.statistics.difference import Difference
from pipeline.evaluation.statistics.variance import CONFIDENCE, Variance

POWER = 0.8
"""The share of cases in which the difference should be found, with p below 0.05."""

_MOST_ROWS = 10**9
_MOST_SEEDS = 1000
_AS_GOOD_AS_NORMAL = 1e5
"""Degrees of freedom."""


def rows_needed(found: Difference, pairs: int = 1) -> int | None:
    """Return how many rows would find the difference with the same numbers of seeds, 2 or more.

    The p-value is corrected for the number of `pairs` of recipes (Bonferroni). None where no number
    does, because chance between seeds remains, or if no difference was seen.
    """
    components, delta = found.components, found.difference
    if not delta:
        return None

    def enough(rows: int) -> bool:
        return _power(delta, components.expected(rows), pairs) >= POWER

    rows = _smallest(enough, 2, _MOST_ROWS)
    if rows is None or found.method == "crossed":
        return rows
    # The exact test is strict: the correction for continuity makes up for it (docs/comparing.md).
    return rows + round(1 / abs(delta))


def seeds_needed(found: Difference, pairs: int = 1) -> int | None:
    """Return how many seeds of either recipe would find it on the same rows, 2 to 1,000.

    `pairs` is as for `rows_needed`. None where no number does, because chance between rows remains;
    if no difference was seen; or with one seed each, when it is unknown how much seeds differ.
    """
    components, delta = found.components, found.difference
    if not delta or not components.seeds:
        return None

    def enough(seeds: int) -> bool:
        return _power(delta, components.expected(components.rows, seeds), pairs) >= POWER

    return _smallest(enough, 2, _MOST_SEEDS)


def _power(delta: float, variance: Variance, pairs: int) -> float:
    """Return the probability to find a true difference `delta`, in [0, 1]."""
    if not variance.total:
        return 1.0
    effect, alpha = abs(delta) / variance.total**0.5, (1 - CONFIDENCE) / pairs
    if variance.degrees > _AS_GOOD_AS_NORMAL:
        return float(normal_power(effect, 1, alpha))
    return float(ttest_power(effect, 1, alpha, df=variance.degrees))


def _smallest(enough: Callable[[int], bool], least: int, most: int) -> int | None:
    """Return the smallest number in `least`..`most` that is enough, None if none is."""
    high = least
    while not enough(high):
        if high == most:
            return None
        low, high = high, min(2 * high, most)
    if high == least:
        return least
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
