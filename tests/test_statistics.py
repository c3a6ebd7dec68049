"""The statistics against papers' worked examples, other libraries, and small simulations."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn import metrics
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from pipeline.evaluation import scores
from pipeline.evaluation.statistics import calibration
from pipeline.evaluation.statistics.accuracy import mean_accuracy_interval
from pipeline.evaluation.statistics.bootstrap import bca_interval, resampled_means
from pipeline.evaluation.statistics.difference import (
    difference,
    mcnemar_p_value,
    most_varying,
    p_values_of_pairs,
    tango_interval,
)
from pipeline.evaluation.statistics.many import against_best, holm
from pipeline.evaluation.statistics.optimism import optimism
from pipeline.evaluation.statistics.power import rows_needed, seeds_needed
from pipeline.evaluation.statistics.variance import (
    components_of_difference,
    components_of_mean,
    values_of,
)
from tests.bench.digits_by_chance import Chance, probabilities_of

Answers = NDArray[np.bool_]

TRIALS = 300


def pair(only_a: int, only_b: int, rows: int, both: int = 0) -> tuple[Answers, Answers]:
    """Two trainings, bool [1, rows] each, with so many rows that only one gets right."""
    a, b = np.zeros((2, 1, rows), np.bool_)
    a[:, : both + only_a] = True
    b[:, :both] = b[:, both + only_a : both + only_a + only_b] = True
    return a, b


def test_mcnemar_on_a_table_from_the_literature() -> None:
    """Airway hyper-responsiveness (Bentur 2009), an example of Fagerland, Lydersen, Laake, 2013."""
    found = difference(*pair(only_a=1, only_b=7, rows=21, both=1))
    assert (found.method, found.only_a, found.only_b) == ("mcnemar", 1, 7)
    assert found.p_value == pytest.approx(2 * (1 + 8) / 2**8)
    assert found.p_value == pytest.approx(mcnemar([[1, 1], [7, 12]], exact=True).pvalue, rel=1e-12)
    assert found.difference == pytest.approx(-6 / 21)


@pytest.mark.parametrize(
    ("only_a", "only_b", "rows"), [(1, 7, 21), (40, 20, 160), (18, 7, 6300), (5, 5, 900)]
)
def test_tango_interval_ends_where_the_score_of_a_searched_maximum_is_1_96(
    only_a: int, only_b: int, rows: int
) -> None:
    """The likelihood's maximum, given the difference, is searched here and not solved for."""
    alike = rows - only_a - only_b
    for end, sign in zip(tango_interval(only_a, only_b, rows), (1, -1), strict=True):

        def loss(share_b: float, end: float = end) -> float:
            shares = share_b + end, share_b, 1 - 2 * share_b - end
            return -sum(
                n * math.log(p) for n, p in zip((only_a, only_b, alike), shares, strict=True)
            )

        edges = max(0.0, -end) + 1e-12, (1 - end) / 2 - 1e-12
        share_b = minimize_scalar(loss, bounds=edges, method="bounded", options={"xatol": 1e-12}).x
        spread = rows * (2 * share_b + end * (1 - end))
        score = (only_a - only_b - rows * end) / math.sqrt(spread)
        assert score == pytest.approx(sign * 1.959964, abs=1e-3)


@pytest.mark.parametrize(("only_a", "only_b"), [(12, 3), (0, 9), (31, 31)])
def test_tango_interval_ends_where_his_score_test_just_rejects(only_a: int, only_b: int) -> None:
    """At difference 0 his test is McNemar's without correction, so both must agree there."""
    z = (only_a - only_b) / math.sqrt(only_a + only_b)
    low, high = tango_interval(only_a, only_b, 6300)
    assert (low > 0 or high < 0) == (abs(z) > 1.96)
    mirrored = tango_interval(only_b, only_a, 6300)
    assert mirrored == pytest.approx((-high, -low), abs=1e-12)


@pytest.mark.parametrize(("only_a", "only_b", "rows"), [(0, 0, 50), (50, 0, 50), (0, 2, 2)])
def test_tango_interval_at_its_edges(only_a: int, only_b: int, rows: int) -> None:
    low, high = tango_interval(only_a, only_b, rows)
    assert -1 <= low < high <= 1
    assert low - 1e-12 <= (only_a - only_b) / rows <= high + 1e-12


def test_no_p_value_is_0() -> None:
    assert 0 < difference(*pair(40_000, 0, 42_000)).p_value < 1e-300
    assert mcnemar_p_value(100_000, 0) > 0
    perfect, useless = np.ones((2, 500), np.bool_), np.zeros((2, 500), np.bool_)
    assert 0 < difference(perfect, useless).p_value < 1e-300


def test_seeds_that_answer_alike_make_no_nan() -> None:
    alike = np.repeat(np.arange(500) > 3, 3).reshape(500, 3).T
    found = difference(alike, alike)
    assert (found.difference, found.p_value) == (0, 1)
    assert found.interval == tango_interval(0, 0, 500)
    low, high = mean_accuracy_interval(alike)
    assert 0 < low < 496 / 500 < high < 1
    with pytest.raises(ValueError, match="1 rows are given; at least 2"):
        difference(alike[:, :1], alike[:, :1])
    with pytest.raises(ValueError, match=r"recipe 1 are bool \[3, 9\]; bool \[3, 500\]"):
        difference(alike, alike[:, :9])


def test_holm_on_the_usual_textbook_example() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 no less than the one before: two are rejected."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert not len(holm(np.zeros(0)))


def test_the_best_is_corrected_for_all_pairs() -> None:
    p_values = np.array([[1, 0.01, 0.5], [0.01, 1, 0.02], [0.5, 0.02, 1]])
    assert against_best(p_values, 0) == pytest.approx([1, 0.03, 0.5])
    assert against_best(p_values, 1) == pytest.approx([0.03, 1, 0.04])
    with pytest.raises(ValueError, match=r"are \[2, 3\]; a square"):
        against_best(p_values[:2], 0)


def test_p_values_of_pairs_are_those_of_the_differences() -> None:
    generator = np.random.default_rng(0)
    answers = [generator.random((seeds, 400)) < 0.9 for seeds in (1, 1, 3, 2)]
    fixed = [True, False, False, False]
    found = p_values_of_pairs(answers, fixed)
    lender = answers[most_varying([values_of(one) for one in answers])]
    for i, a in enumerate(answers):
        for j, b in enumerate(answers):
            test = difference(a, b, fixed=(fixed[i], fixed[j]), lender=lender)
            expected = 1 if i == j else test.p_value
            assert found[i, j] == pytest.approx(expected, rel=1e-9)


def test_components_are_those_of_a_mixed_model() -> None:
    """Balanced data: restricted maximum likelihood gives the analysis of variance's components."""
    generator = np.random.default_rng(4)
    seeds, rows = 6, 12
    values = (
        generator.normal(size=(1, rows))
        + generator.normal(size=(seeds, 1))
        + generator.normal(size=(seeds, rows))
    )
    frame = pd.DataFrame(
        {
            "value": values.ravel(),
            "seed": np.repeat(np.arange(seeds), rows),
            "row": np.tile(np.arange(rows), seeds),
        }
    )
    model = MixedLM.from_formula(
        "value ~ 1",
        frame,
        groups=np.ones(len(frame)),
        re_formula="0",
        vc_formula={"row": "0 + C(row)", "seed": "0 + C(seed)"},
    )
    fitted = model.fit(method="powell")
    components = components_of_mean(values_of(values))
    (chance,) = components.seeds
    row, seed = fitted.vcomp
    assert chance.residual == pytest.approx(fitted.scale, rel=1e-2)
    assert components.row == pytest.approx(row, rel=1e-2)
    assert (chance.between - chance.residual) / rows == pytest.approx(seed, rel=1e-2)
    assert components.variance().total == pytest.approx(fitted.bse["Intercept"] ** 2, rel=1e-2)


def test_one_seed_borrows_the_chance_between_seeds() -> None:
    generator = np.random.default_rng(1)
    one, three = (values_of(generator.random((seeds, 300)) < 0.9) for seeds in (1, 3))
    (chance,) = components_of_difference(one, three).seeds
    assert (chance.degrees, chance.recipes) == (2, 2)
    assert chance.weight == pytest.approx(4 / 3)
    (chance,) = components_of_difference(replace(one, fixed=True), three).seeds
    assert (chance.degrees, chance.recipes) == (2, 1)
    assert chance.weight == pytest.approx(1 / 3)
    five = values_of(generator.random((5, 300)) < generator.normal(0.9, 0.05, (5, 1)))
    own, lent = components_of_difference(one, three, five).seeds
    assert own.between == three.between
    assert own.weight == pytest.approx(1 / 3)
    assert (lent.between, lent.degrees, lent.weight) == (five.between, 4, 1)


def test_mean_accuracy_of_one_seed_has_wilsons_interval() -> None:
    answers = np.arange(6300)[np.newaxis] >= 28
    assert mean_accuracy_interval(answers) == pytest.approx(
        proportion_confint(6272, 6300, method="wilson"), abs=1e-9
    )


@pytest.mark.parametrize(("seeds_a", "seeds_b"), [(1, 1), (2, 2), (3, 3), (1, 3)])
def test_equally_good_recipes_are_told_apart_in_at_most_5_percent(
    seeds_a: int, seeds_b: int
) -> None:
    """Counting rows as independent in each seed, or forgetting the seeds, gives 10 % and more."""
    chance = Chance(rows=2000, accuracy=0.98, deviation=0.004, seed=7)
    deviation = 0.0 if seeds_a == seeds_b == 1 else None
    rejected = covered = 0
    for _ in range(TRIALS):
        a, b = chance.recipes((seeds_a, seeds_b), deviation=deviation)
        found = difference(a, b)
        rejected += found.p_value < 0.05
        covered += found.interval.low <= 0 <= found.interval.high
    assert 0.003 <= rejected / TRIALS <= 0.09  # 5 % and three times its Monte Carlo error
    assert covered / TRIALS >= 0.91


@pytest.mark.parametrize("deviation", [0.0, 0.004])
def test_the_variance_of_a_difference_is_the_one_seen(deviation: float) -> None:
    """Chance of a seed on a row is in the rows' and in the seeds' part, and counts once."""
    chance = Chance(rows=2000, accuracy=0.98, deviation=deviation, seed=11)
    found = [difference(*chance.recipes((5, 5))) for _ in range(TRIALS)]
    seen = np.var([one.difference for one in found], ddof=1)
    expected = np.mean([one.components.variance().total for one in found])
    assert 0.75 <= seen / expected <= 1.25


def test_recipes_with_few_seeds_have_intervals_that_cover() -> None:
    chance = Chance(rows=2000, accuracy=0.98, deviation=0.004, seed=8)
    covered = 0
    for _ in range(TRIALS):
        (answers,) = chance.recipes((3,))
        low, high = mean_accuracy_interval(answers)
        covered += low <= 0.98 <= high
    assert covered / TRIALS >= 0.91


def test_the_power_is_80_percent_with_what_is_needed() -> None:
    chance = Chance(rows=2000, accuracy=0.98, deviation=0.003, seed=9)
    a, b = chance.recipes((30, 30), better=0.004)
    seen = difference(a, b)
    needed = seeds_needed(seen)
    assert needed is not None
    found = sum(
        difference(*chance.recipes((needed, needed), better=seen.difference)).p_value < 0.05
        for _ in range(TRIALS)
    )
    assert 0.7 <= found / TRIALS <= 0.9


def test_more_rows_do_not_help_where_seeds_differ_too_much() -> None:
    chance = Chance(rows=2000, accuracy=0.98, deviation=0.01, seed=10)
    seen = difference(*chance.recipes((4, 4), better=0.002))
    assert rows_needed(seen) is None
    alike = difference(*pair(0, 0, 100))
    assert (rows_needed(alike), seeds_needed(alike)) == (None, None)
    small = difference(*pair(25, 15, 6300, both=6000))
    assert rows_needed(small) == pytest.approx(6300 * 40 * 2.8016**2 / 100 + 630, rel=0.02)
    assert seeds_needed(small) is None  # one seed each says nothing of other seeds


@pytest.mark.parametrize(
    "interval", [calibration.log_loss_interval, calibration.calibration_error_interval]
)
def test_bootstrap_intervals_cover(interval: Callable[..., scores.Interval]) -> None:
    """The percentiles of resampled calibration errors would cover the true one never."""
    score = {
        calibration.log_loss_interval: calibration.mean_log_loss,
        calibration.calibration_error_interval: calibration.calibration_error,
    }[interval]
    labels, probabilities = probabilities_of(40_000, seed=1)
    true, generator, covered = score(labels, probabilities), np.random.default_rng(2), 0
    for _ in range(TRIALS // 3):
        rows = generator.integers(0, len(labels), 1000)
        low, high = interval(labels[rows], probabilities[rows])
        covered += low <= true <= high
    assert covered / (TRIALS // 3) >= 0.87


def test_calibration_error_and_reliability_by_hand() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.full((4, 10), 0.02)
    probabilities[:, 0] = 0.82
    assert calibration.calibration_error(labels, probabilities) == pytest.approx(0.07)
    (only,) = calibration.reliability(labels, probabilities)
    assert (only.rows, only.accuracy) == (4, 0.75)
    assert only.confidence == pytest.approx(0.82)
    assert only.low < 0.82 <= only.high
    assert only.interval == scores.wilson_interval(3, 4)
    certain = np.eye(10)[[0, 0, 0, 1]]
    assert calibration.calibration_error_interval(labels, certain) == (0, 0)
    assert calibration.reliability(labels, certain)[0].high == 1


def test_scores_of_several_seeds_are_means_with_wider_intervals() -> None:
    """Wider than the interval of the same mean that accounts for the rows alone."""
    labels, first = probabilities_of(1500, seed=3)
    second = first**0.4
    seeds = np.stack([first, second / second.sum(axis=1, keepdims=True)])
    losses = -np.log(seeds[:, np.arange(1500), labels])
    mean = float(np.mean([metrics.log_loss(labels, one) for one in seeds]))
    assert calibration.mean_log_loss(labels, seeds) == pytest.approx(mean, rel=1e-9)
    of_rows = losses.mean(axis=0)
    replicates = resampled_means(of_rows[:, np.newaxis])[:, 0]
    rows_alone = bca_interval(mean, replicates, of_rows)
    low, high = calibration.log_loss_interval(labels, seeds)
    assert low < rows_alone.low < rows_alone.high < high
    repeated = calibration.log_loss_interval(labels, seeds)
    assert repeated == (low, high)  # the same draws each time


def test_optimism_of_choosing_among_noise() -> None:
    """The best of 20 equal epochs seems better by the expected maximum of 20 normal numbers."""
    generator = np.random.default_rng(5)
    epochs, rows, share = 20, 2000, 0.9
    labels = generator.integers(0, 10, rows)
    wrong = generator.random((epochs, rows)) >= share
    probabilities = np.full((epochs, rows, 10), 0.01)
    predicted = (labels + wrong) % 10
    np.put_along_axis(probabilities, predicted[..., np.newaxis], 0.91, axis=2)
    found = optimism(labels, probabilities, keep=1, splits=100)
    expected = 1.867 * math.sqrt(share * (1 - share) / rows)
    assert found.mean == pytest.approx(expected, rel=0.25)
    assert optimism(labels, probabilities, keep=epochs, splits=20).mean == pytest.approx(0)


def test_several_seeds_on_one_row_have_intervals() -> None:
    assert mean_accuracy_interval(np.array([[True], [False]])) == scores.wilson_interval(0, 1)
    even = np.full((2, 1, 10), 0.1)
    ((loss, error),) = calibration.score_intervals(np.array([3]), [even])
    assert loss == pytest.approx((np.log(10), np.log(10)), abs=1e-6)
    assert error.high <= 1
