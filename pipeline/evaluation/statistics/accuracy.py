"""How sure the accuracy of one recipe is, with one seed or several."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from pipeline.data.checks import check_array
from pipeline.evaluation.scores import Interval, wilson_interval
from pipeline.evaluation.statistics.variance import components_of_mean, values_of


def mean_accuracy_interval(correct: NDArray[np.bool_]) -> Interval:
    """Return the 95 % interval of a recipe's accuracy, given which rows its seeds get right.

    `correct` is bool [seeds, rows]. With one seed it is Wilson's interval, which is about that
    training. With several, the interval is about the recipe: Wilson's for the number of rows that
    would give the same variance with one seed, and Student's quantile in place of the normal one.
    E. L. Korn and B. I. Graubard use such a number of rows in surveys, with another interval
    (Survey Methodology 24, 1998, 193-201). Raises ValueError for other arrays.
    """
    seeds, rows = len(correct), correct.shape[-1]
    check_array("the answers", correct, np.bool_, seeds, rows)
    share = float(correct.mean())
    if seeds == 1 or rows == 1 or share in (0.0, 1.0):
        return wilson_interval(round(share * rows), rows)
    variance = components_of_mean(values_of(correct)).variance()
    effective = share * (1 - share) / variance.total
    alpha = 2 * float(norm.sf(variance.quantile))
    low, high = proportion_confint(share * effective, effective, alpha, method="wilson")
    return Interval(float(low), float(high))
