"""Where the chance in a mean over rows and seeds comes from: the two-way analysis of variance.

Rows and seeds are crossed random factors, as cases and readers are in studies of diagnostic
imaging: a row may suit one recipe, a seed may be lucky, and a seed may be lucky on one row. Seeds
are nested in recipes. The method is that of S. L. Hillis, Statistics in Medicine 26 (2007),
596-619, and 33 (2014), 330-360, with two changes for two or three seeds (see `SeedChance`).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, stdtr, stdtrit

CONFIDENCE = 0.95
"""Of every interval."""

_TOO_ALIKE = 0.05


@dataclass(frozen=True)
class Values:
    """One recipe's values, such as right (1) or wrong (0), summed up over its seeds.

    `of_rows` is float64 [rows], each row's mean over the seeds. `between` and `residual` are the
    mean squares between seeds and of the rest, both 0 with one seed. Both estimate the variance of
    one value by chance in a seed on a row; `between` exceeds it if some seeds are better. `fixed`
    is one given classifier, such as an average of runs, which no other seed could replace.
    """

    of_rows: NDArray[np.float64]
    seeds: int
    between: float
    residual: float
    fixed: bool = False

    @property
    def mean(self) -> float:
        """The mean over rows and seeds."""
        return float(self.of_rows.mean())


def values_of(values: NDArray[np.bool_] | NDArray[np.floating], fixed: bool = False) -> Values:
    """Sum up bool or floats [seeds, rows], of one seed if they are of a `fixed` classifier.

    Raises ValueError for fewer than 2 rows.
    """
    seeds, rows = values.shape
    if rows < 2:
        raise ValueError(f"{rows} rows are given; at least 2 are needed")
    of_rows = values.mean(axis=0, dtype=np.float64)
    if seeds == 1:
        return Values(of_rows, seeds, 0.0, 0.0, fixed)
    of_seeds = values.mean(axis=1, dtype=np.float64)
    rest = values - of_rows - of_seeds[:, np.newaxis] + of_rows.mean()
    return Values(
        of_rows,
        seeds,
        between=rows * float(of_seeds.var(ddof=1)),
        residual=float(np.sum(rest**2)) / ((seeds - 1) * (rows - 1)),
    )


@dataclass(frozen=True)
class SeedChance:
    """The mean squares `between` seeds, of `degrees` degrees of freedom, and `residual`.

    `weight` is 1 / seeds, or its sum over two `recipes` that share the mean squares. Seeds that
    happen to be equally good must not make a difference look sure. So `between` counts as no less
    than the value that chance on the rows alone gives in 5 % of all cases, and for the degrees of
    freedom as no less than the value that it gives on average.
    """

    between: float
    residual: float
    degrees: int
    weight: float
    recipes: int = 1

    @property
    def used(self) -> float:
        """`between`, or the least that it counts as."""
        quantile = float(chdtri(self.degrees, 1 - _TOO_ALIKE))
        return max(self.between, self.residual * quantile / self.degrees)

    @property
    def for_degrees(self) -> float:
        """`between`, or the least that it counts as in the degrees of freedom."""
        return max(self.between, self.residual)

    def expected(self, rows: int, new_rows: int) -> float:
        """Return the mean square between seeds to expect with `new_rows` rows, not `rows`."""
        return self.residual + max(self.between - self.residual, 0.0) * new_rows / rows


@dataclass(frozen=True)
class Variance:
    """The variance of a mean or of a difference of means, and its degrees of freedom.

    They are Satterthwaite's, infinite where there is no chance between seeds or none is known.
    """

    total: float
    degrees: float

    @property
    def quantile(self) -> float:
        """How many standard errors a 95 % interval reaches to each side."""
        return float(stdtrit(self.degrees, (1 + CONFIDENCE) / 2))

    @property
    def reach(self) -> float:
        """Half the width of the 95 % interval."""
        return self.quantile * math.sqrt(self.total)

    def p_value(self, estimate: float) -> float:
        """Return the two-sided p-value, in [0, 1], of the hypothesis that the true value is 0."""
        if not estimate or not self.total:
            return float(not estimate)
        return 2 * float(stdtr(self.degrees, -abs(estimate) / math.sqrt(self.total)))


@dataclass(frozen=True)
class Components:
    """What the variance over `rows` rows is made of: chance in rows and in seeds.

    `row` is the variance of one row that all seeds share.
    """

    rows: int
    row: float
    seeds: tuple[SeedChance, ...]

    def variance(self) -> Variance:
        """Return the variance, estimated from the values seen."""
        used = sum(one.used * one.weight for one in self.seeds)
        parts = [(one.for_degrees * one.weight, float(one.degrees)) for one in self.seeds]
        return Variance((self.row + used) / self.rows, _satterthwaite(self.row, parts))

    def expected(self, rows: int, seeds: int | None = None) -> Variance:
        """Return the variance to expect on `rows` rows, with `seeds` seeds of either recipe.

        By default, the seeds remain as they are.
        """
        parts = []
        for one in self.seeds:
            weight, degrees = one.weight, float(one.degrees)
            if seeds is not None:
                weight, degrees = one.recipes / seeds, one.recipes * (seeds - 1.0)
            parts.append((one.expected(self.rows, rows) * weight, degrees))
        total = self.row + sum(part for part, _ in parts)
        return Variance(total / rows, _satterthwaite(self.row, parts))


def components_of_mean(values: Values) -> Components:
    """Return what the variance of a recipe's mean is made of."""
    seeds = _seed_chances(values)
    return _components(values.of_rows, seeds)


def components_of_difference(a: Values, b: Values, lender: Values | None = None) -> Components:
    """Return what the variance of a's mean minus b's is made of, on the same rows.

    A recipe with one seed is taken to vary between seeds as the `lender` does, on as many rows;
    left out: as the other recipe does. A fixed classifier does not vary at all. If neither recipe
    has several seeds, chance between seeds is unknown and left out.
    """
    return _components(a.of_rows - b.of_rows, _seed_chances(a, b, lender=lender))


def _seed_chances(*recipes: Values, lender: Values | None = None) -> tuple[SeedChance, ...]:
    varying = [one for one in recipes if not one.fixed]
    repeated = [one for one in varying if one.seeds > 1]
    if len(repeated) == len(varying):
        return tuple(
            SeedChance(one.between, one.residual, one.seeds - 1, 1 / one.seeds) for one in repeated
        )
    if not repeated:
        return ()
    (own,) = repeated  # of two recipes; the other one has a single seed
    if lender is None or lender.between == own.between:
        return (SeedChance(own.between, own.residual, own.seeds - 1, 1 + 1 / own.seeds, 2),)
    return (
        SeedChance(own.between, own.residual, own.seeds - 1, 1 / own.seeds),
        SeedChance(lender.between, lender.residual, lender.seeds - 1, 1.0),
    )


def _components(of_rows: NDArray[np.float64], seeds: tuple[SeedChance, ...]) -> Components:
    """Take the chance of a seed on a row, which counts with the seeds, out of the rows'."""
    shared = float(of_rows.var(ddof=1)) - sum(one.residual * one.weight for one in seeds)
    return Components(len(of_rows), max(shared, 0.0), seeds)


def _satterthwaite(row: float, parts: list[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of `row` and mean squares with theirs."""
    uncertain = sum(part**2 / degrees for part, degrees in parts)
    return (row + sum(part for part, _ in parts)) ** 2 / uncertain if uncertain else math.inf
