"""The figures of one recipe, and of one recipe against the best, from the rows that they get right.

It only fits the runs' arrays to the functions of pipeline/evaluation/statistics/.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pipeline.data.spec import SPEC
from pipeline.evaluation.comparison.model import AgainstBest, Scores
from pipeline.evaluation.comparison.recipes import RecipeRuns
from pipeline.evaluation.comparison.scored_run import ScoredRun, common_rows
from pipeline.evaluation.statistics import calibration, many
from pipeline.evaluation.statistics.accuracy import mean_accuracy_interval
from pipeline.evaluation.statistics.difference import (
    difference,
    most_varying,
    p_values_of_pairs,
)
from pipeline.evaluation.statistics.power import rows_needed, seeds_needed
from pipeline.evaluation.statistics.public_score import public_score_interval
from pipeline.evaluation.statistics.variance import values_of

_FEWEST_ROWS = 2  # for a comparison
_AT_ONCE = 16  # sets whose probabilities are in memory twice


def scores_of(sets: Sequence[Sequence[ScoredRun]]) -> list[Scores]:
    """Return the mean scores of sets of runs, each with the intervals over its rows and runs.

    The runs of one set are on the same rows.
    """
    same_rows: dict[tuple[bytes, bytes], list[int]] = {}
    for number, (first, *_) in enumerate(sets):
        same_rows.setdefault((first.rows.tobytes(), first.labels.tobytes()), []).append(number)
    found: dict[int, Scores] = {}
    for numbers in same_rows.values():
        for start in range(0, len(numbers), _AT_ONCE):
            chunk = numbers[start : start + _AT_ONCE]
            found |= zip(chunk, _scores([sets[number] for number in chunk]), strict=True)
    return [found[number] for number in range(len(sets))]


def _scores(sets: Sequence[Sequence[ScoredRun]]) -> list[Scores]:
    """Return the scores of sets of runs that all have the same rows and labels."""
    labels = sets[0][0].labels
    stacks = [np.stack([scored.probabilities for scored in runs]) for runs in sets]
    intervals = calibration.score_intervals(labels, stacks)
    found = []
    for runs, stack, (loss, error) in zip(sets, stacks, intervals, strict=True):
        correct = np.stack([scored.correct for scored in runs])
        accuracy, rows = float(correct.mean()), len(labels)
        found.append(
            Scores(
                accuracy=accuracy,
                accuracy_interval=mean_accuracy_interval(correct),
                log_loss=calibration.mean_log_loss(labels, stack),
                log_loss_interval=loss,
                calibration_error=calibration.calibration_error(labels, stack),
                calibration_error_interval=error,
                rows=rows,
                one_fold_a_row=runs[0].one_fold_a_row,
                rows_also_chose=runs[0].rows_also_chose,
                expected_public=public_score_interval(
                    round(accuracy * rows), rows, SPEC.public_rows
                ),
                out_of_fold=runs[0].out_of_fold,
            )
        )
    return found


def deviation(correct: NDArray[np.bool_]) -> float | None:
    """Return the standard deviation of the accuracy over seeds, given bool [seeds, rows].

    It is that of a sample (divided by seeds - 1), None for a single seed.
    """
    return float(correct.mean(axis=1).std(ddof=1)) if len(correct) > 1 else None


def against_best(recipes: Sequence[RecipeRuns]) -> list[AgainstBest]:
    """Return every recipe but the first, which is the best, against the first.

    Each is compared on the rows that both predict.
    """
    corrected = many.against_best(_p_values(recipes), best=0)
    best, pairs = recipes[0], len(recipes) * (len(recipes) - 1) // 2
    lender = _lender(recipes)
    tests = [
        against(*_on_common_rows(recipe, best), (recipe.is_average, best.is_average), pairs, lender)
        for recipe in recipes[1:]
    ]
    return [
        replace(test, p_holm=float(p_holm))
        for test, p_holm in zip(tests, corrected[1:], strict=True)
    ]


def against(
    correct: NDArray[np.bool_],
    best_correct: NDArray[np.bool_],
    fixed: tuple[bool, bool] = (False, False),
    pairs: int = 1,
    lender: NDArray[np.bool_] | None = None,
) -> AgainstBest:
    """Return a recipe against another, given which of the same rows each gets right.

    Both are bool [seeds, rows]; `fixed` tells which is an average of runs. The p-value is not
    corrected, but what it would take to find the difference is, for the number of `pairs` in the
    group. `lender`, bool [seeds, rows], is the recipe that one with a single seed is taken to vary
    like. On fewer than two rows nothing can be said.
    """
    if correct.shape[1] < _FEWEST_ROWS:
        return AgainstBest(0.0, (-1.0, 1.0), 1.0, 1.0, "mcnemar", 0, 0, None, None)
    found = difference(correct, best_correct, fixed=fixed, lender=lender)
    return AgainstBest(
        difference=found.difference,
        interval=found.interval,
        p_value=found.p_value,
        p_holm=found.p_value,
        method=found.method,
        only_this_right=found.only_a,
        only_best_right=found.only_b,
        rows_needed=rows_needed(found, pairs),
        seeds_needed=seeds_needed(found, pairs),
    )


def _have_same_rows(recipes: Sequence[RecipeRuns]) -> bool:
    """Return whether all recipes predict the same rows, and enough of them."""
    rows = recipes[0].best.rows
    same = all(np.array_equal(recipe.best.rows, rows) for recipe in recipes)
    return same and len(rows) >= _FEWEST_ROWS


def _lender(recipes: Sequence[RecipeRuns]) -> NDArray[np.bool_] | None:
    """Return the answers of the recipe that varies most between seeds, where rows are the same."""
    if not _have_same_rows(recipes):
        return None
    lender = recipes[most_varying([values_of(recipe.correct) for recipe in recipes])].correct
    return lender if len(lender) > 1 else None


def _on_common_rows(
    recipe: RecipeRuns, other: RecipeRuns
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of their common rows two recipes get right, each bool [seeds, rows]."""
    ours, theirs = common_rows(recipe.best, other.best)
    return recipe.correct[:, ours], other.correct[:, theirs]


def _p_values(recipes: Sequence[RecipeRuns]) -> NDArray[np.float64]:
    """Return the p-values of all pairs, float64 [k, k], each on the rows that both predict."""
    averages = [recipe.is_average for recipe in recipes]
    if _have_same_rows(recipes):
        return p_values_of_pairs([recipe.correct for recipe in recipes], averages)
    p_values = np.ones((len(recipes), len(recipes)))
    for i, j in combinations(range(len(recipes)), 2):
        pair = _on_common_rows(recipes[i], recipes[j])
        if pair[0].shape[1] >= _FEWEST_ROWS:
            found = difference(*pair, fixed=(averages[i], averages[j]))
            p_values[i, j] = p_values[j, i] = found.p_value
    return p_values
