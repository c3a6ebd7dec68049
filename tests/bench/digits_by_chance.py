"""Made-up answers of recipes whose true accuracies are known: some rows are hard for all of them.

A row is wrong in a seed when the sum of four normal numbers exceeds a threshold: how hard it is for
all recipes, for this recipe, in this seed, and how good the seed is on all rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm


@dataclass
class Chance:
    """Draws recipes on `rows` rows that are as accurate as `accuracy` on average.

    `deviation` is the standard deviation of their seeds' true accuracies. Of the rows that one
    seed gets wrong, another one of the recipe gets `again` wrong too, one of another recipe
    `elsewhere`. The defaults are those of the recipes here.
    """

    rows: int
    accuracy: float = 0.9955
    deviation: float = 0.0
    again: float = 0.68
    elsewhere: float = 0.64
    seed: int = 0
    generator: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)

    @cached_property
    def _shares(self) -> tuple[float, float]:
        """The variances of what a row's hardness shares in all recipes, and in one's seeds."""
        return self._correlation(self.elsewhere), self._correlation(self.again)

    def recipes(
        self,
        seeds: Sequence[int],
        better: float = 0.0,
        deviation: float | Sequence[float] | None = None,
    ) -> list[NDArray[np.bool_]]:
        """Return which rows each recipe gets right, bool [seeds, rows] each.

        `better` is added to the accuracy of the first. `deviation`, one or
        one of each recipe, is in place of the object's.
        """
        in_all, in_recipe = self._shares
        spread = np.broadcast_to(self.deviation if deviation is None else deviation, len(seeds))
        common = self._normal(self.rows) * in_all**0.5
        found = []
        for number, count in enumerate(seeds):
            accuracies = self.generator.normal(self.accuracy, spread[number], (count, 1))
            accuracies += better * (number == 0)
            limits = norm.ppf(np.clip(accuracies, 1e-6, 1 - 1e-6)).astype(np.float32)
            own = common + self._normal(self.rows) * (in_recipe - in_all) ** 0.5
            found.append(own + self._normal(count, self.rows) * (1 - in_recipe) ** 0.5 < limits)
        return found

    def _normal(self, *shape: int) -> NDArray[np.float32]:
        return self.generator.standard_normal(shape, dtype=np.float32)

    def _correlation(self, share: float) -> float:
        """Return the correlation with which both are wrong in `share` of the cases that one is."""
        limit, wrong = norm.ppf(1 - self.accuracy), 1 - self.accuracy

        def excess(correlation: float) -> float:
            both = multivariate_normal.cdf([limit, limit], cov=[[1, correlation], [correlation, 1]])
            return float(both) - share * wrong

        return float(brentq(excess, 0.01, 0.9999))


def probabilities_of(
    rows: int, seed: int, sureness: float = 1.1, margin: float = 2.0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels, int64 [rows], and a made-up network's probabilities, float64 [rows, 10].

    Above 1, `sureness` makes the network surer of itself than it should be. A larger `margin`
    makes it more accurate.
    """
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, 10))
    logits[np.arange(rows), generator.integers(0, 10, rows)] += generator.gamma(4, margin, rows)
    true = np.exp(logits)
    true /= true.sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1).clip(0, 9)
    stated = true**sureness
    return labels, stated / stated.sum(axis=1, keepdims=True)
