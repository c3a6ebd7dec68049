"""Several recipes against the best of them."""

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests


def holm(p_values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the p-values [n], in (0, 1], corrected for their number.

    If no difference is real, one of the corrected p-values is below 0.05 in at most 5 % of all
    cases. Method: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70. Source:
    statsmodels.stats.multitest.multipletests.
    """
    if not len(p_values):
        return np.zeros(0)
    return np.asarray(multipletests(p_values, method="holm")[1], np.float64)


def against_best(p_values: NDArray[np.floating], best: int) -> NDArray[np.float64]:
    """Return the corrected p-values of all recipes against recipe number `best`, float64 [k].

    `p_values`, floats [k, k], are those of all pairs. That of `best` itself is 1. The same rows
    choose the best, so each recipe could have been it: Holm's correction is for all k (k - 1) / 2
    pairs. For k - 1 pairs it would find differences among ten equally good recipes far too often
    (docs/comparing.md). Raises ValueError for another shape.
    """
    k = len(p_values)
    if p_values.shape != (k, k):
        raise ValueError(f"p-values are {list(p_values.shape)}; a square is needed")
    corrected = np.ones((k, k))
    pairs = np.triu_indices(k, 1)
    corrected[pairs] = holm(p_values[pairs])
    of_best: NDArray[np.float64] = np.minimum(corrected, corrected.T)[best]
    return of_best
