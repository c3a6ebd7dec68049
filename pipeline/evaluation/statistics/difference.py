"""Whether one recipe is better than another, and by how much: the difference of their accuracies.

With one seed each, interval and p-value are about these two trainings, which other seeds may turn
around. With several seeds they are about the recipes.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from pipeline.data.checks import check_array
from pipeline.evaluation.scores import Interval
from pipeline.evaluation.statistics.variance import (
    CONFIDENCE,
    Components,
    Values,
    components_of_difference,
    values_of,
)

SMALLEST_P = sys.float_info.min
"""A p-value that is too small for a float is this one, not 0."""


@dataclass(frozen=True)
class Difference:
    """The accuracy of a minus that of b, with its 95 % interval and a two-sided p-value in (0, 1].

    With one seed each, `method` is "mcnemar", and `only_a` and `only_b` count the rows that only
    one of the two gets right. Otherwise it is "crossed", and they are None. `components` say how
    much of the variance is chance in rows, and how much in seeds.
    """

    difference: float
    interval: Interval
    p_value: float
    method: Literal["mcnemar", "crossed"]
    only_a: int | None
    only_b: int | None
    components: Components


def difference(
    correct_a: NDArray[np.bool_],
    correct_b: NDArray[np.bool_],
    *,
    fixed: tuple[bool, bool] = (False, False),
    lender: NDArray[np.bool_] | None = None,
) -> Difference:
    """Compare two recipes, given which of the same rows each of their seeds gets right.

    The arguments are bool [seeds, rows] with at least 2 rows; the numbers of seeds may differ. With
    one seed each: McNemar's exact test, and Tango's score interval. Otherwise a t-test with rows
    and seeds as crossed random factors (variance.py); a recipe with one seed is taken to vary
    between seeds as the `lender` does, bool [seeds, rows] too, or else as the other recipe does,
    unless it is `fixed`, as an average of runs is. Raises ValueError for other arrays.
    """
    _check_same_rows([correct_a, correct_b])
    a, b = values_of(correct_a, fixed[0]), values_of(correct_b, fixed[1])
    lent = None if lender is None else values_of(lender)
    components = components_of_difference(a, b, lent)
    delta = a.mean - b.mean
    if a.seeds == b.seeds == 1:
        only_a, only_b = _discordant(correct_a[0], correct_b[0])
        p_value = mcnemar_p_value(only_a, only_b)
        interval = tango_interval(only_a, only_b, components.rows)
        return Difference(delta, interval, p_value, "mcnemar", only_a, only_b, components)
    variance = components.variance()
    p_value = max(variance.p_value(delta), SMALLEST_P)
    if variance.total:
        interval = Interval(max(delta - variance.reach, -1.0), min(delta + variance.reach, 1.0))
    else:  # all rows alike: chance shows nowhere, but more rows would show some
        sign = round(delta)
        rows = components.rows
        interval = tango_interval(rows * (sign == 1), rows * (sign == -1), rows)
    return Difference(delta, interval, p_value, "crossed", None, None, components)


def p_values_of_pairs(
    correct: Sequence[NDArray[np.bool_]], fixed: Sequence[bool]
) -> NDArray[np.float64]:
    """Return the p-values of all pairs of recipes, float64 [k, k], as `difference` gives them.

    Each of `correct` is bool [seeds, rows], on the same rows; `fixed` says which are one fixed
    classifier. `most_varying` is the lender. The diagonal is 1. It takes about a second for 200
    recipes on 6,300 rows.
    """
    _check_same_rows(correct)
    values = [values_of(*one) for one in zip(correct, fixed, strict=True)]
    lender = values[most_varying(values)]
    p_values = np.ones((len(correct), len(correct)))
    for i, j in combinations(range(len(correct)), 2):
        if values[i].seeds == values[j].seeds == 1:
            p_value = mcnemar_p_value(*_discordant(correct[i][0], correct[j][0]))
        else:
            p_value = _crossed_p_value(values[i], values[j], lender)
        p_values[i, j] = p_values[j, i] = p_value
    return p_values


def most_varying(values: Sequence[Values]) -> int:
    """Return the number of the recipe that varies most between seeds, of those with several."""
    return max(range(len(values)), key=lambda i: (values[i].seeds > 1, values[i].between))


def tango_interval(only_a: int, only_b: int, rows: int) -> Interval:
    """Return Tango's 95 % score interval of the difference of two accuracies on the same rows.

    `only_a` and `only_b` count the rows that only a, or only b, gets right, out of `rows` > 0.
    Source: T. Tango, Statistics in Medicine 17 (1998), 891-908.
    """
    z = float(norm.ppf((1 + CONFIDENCE) / 2))

    def score(delta: float) -> float:
        linear = (2 * rows - only_a + only_b) * delta - only_a - only_b
        constant = -only_b * delta * (1 - delta)
        root = math.sqrt(max(linear**2 - 8 * rows * constant, 0.0))
        share_b = (root - linear) / (4 * rows)  # of rows that only b gets right, given delta
        spread = rows * (2 * share_b + delta * (1 - delta))
        return (only_a - only_b - rows * delta) / math.sqrt(max(spread, SMALLEST_P))

    centre, edge = (only_a - only_b) / rows, 1 - 1e-12
    low = -1.0 if centre <= -edge else float(brentq(lambda x: score(x) - z, -edge, centre))
    high = 1.0 if centre >= edge else float(brentq(lambda x: score(x) + z, centre, edge))
    return Interval(low, high)


@lru_cache(maxsize=4096)
def mcnemar_p_value(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value, in (0, 1], of McNemar's exact test.

    The arguments count the rows that only one of two classifiers gets right. If these are equally
    good, each wins such a row with probability 1/2. Source: scipy.stats.binomtest.
    """
    discordant = only_a + only_b
    return max(float(binomtest(only_a, discordant).pvalue), SMALLEST_P) if discordant else 1.0


def _crossed_p_value(a: Values, b: Values, lender: Values) -> float:
    variance = components_of_difference(a, b, lender).variance()
    return max(variance.p_value(a.mean - b.mean), SMALLEST_P)


def _discordant(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> tuple[int, int]:
    both = np.count_nonzero(a & b)
    return int(np.count_nonzero(a) - both), int(np.count_nonzero(b) - both)


def _check_same_rows(correct: Sequence[NDArray[np.bool_]]) -> None:
    rows = correct[0].shape[-1]
    for number, one in enumerate(correct):
        if not len(one):
            raise ValueError(f"recipe {number} has 0 seeds; at least 1 is needed")
        check_array(f"the answers of recipe {number}", one, np.bool_, len(one), rows)
