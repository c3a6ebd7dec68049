"""The figures of one recipe, and of one recipe against the best, from the rows that they get right.

It only fits the runs' arrays to the functions of pipeline/evaluation/statistics/.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.data.spec import SPEC
from pipeline.evaluation import scores
from pipeline.evaluation.comparison.model import AgainstBest, Scores
from pipeline.evaluation.comparison.recipes import RecipeRuns
from pipeline.evaluation.comparison.scored_run import common_rows
from pipeline.evaluation.statistics.public_score import public_score_interval


def scores_of(
    labels: NDArray[np.integer],
    probabilities: Sequence[NDArray[np.floating]],
    one_fold_a_row: bool,
    rows_also_chose: bool,
) -> Scores:
    """Return the mean scores of one seed or several on the same rows, with their intervals.

    `labels` is integers [rows] in 0..9, each of `probabilities` is floats [rows, 10]; the other two
    are noted in the scores.
    """
    correct = np.stack([one.argmax(axis=1) == labels for one in probabilities])
    rows = len(labels)
    right = round(float(correct.mean()) * rows)
    low, high = scores.wilson_interval(right, rows)
    loss = float(np.mean([scores.log_loss(labels, one) for one in probabilities]))
    return Scores(
        accuracy=float(correct.mean()),
        accuracy_interval=(low, high),
        log_loss=loss,
        log_loss_interval=(loss, loss),
        calibration_error=0.0,
        calibration_error_interval=(0.0, 0.0),
        rows=rows,
        one_fold_a_row=one_fold_a_row,
        rows_also_chose=rows_also_chose,
        expected_public=public_score_interval(right, rows, SPEC.public_rows),
    )


def deviation(correct: NDArray[np.bool_]) -> float | None:
    """Return the standard deviation of the accuracy over seeds, given bool [seeds, rows].

    It is that of a sample (divided by seeds - 1), None for a single seed.
    """
    return float(correct.mean(axis=1).std(ddof=1)) if len(correct) > 1 else None


def against_best(recipes: Sequence[RecipeRuns]) -> list[AgainstBest]:
    """Return every recipe but the first against the first, each on the rows that both predict."""
    return [_against(recipe, recipes[0]) for recipe in recipes[1:]]


def _against(recipe: RecipeRuns, best: RecipeRuns) -> AgainstBest:
    ours, theirs = common_rows(recipe.best, best.best)
    return against(recipe.correct[:, ours], best.correct[:, theirs])


def against(correct: NDArray[np.bool_], best_correct: NDArray[np.bool_]) -> AgainstBest:
    """Return a recipe against another, given which of the same rows each gets right.

    Both are bool [seeds, rows]. The p-value is not corrected.
    """
    test = scores.mcnemar_exact(correct[0], best_correct[0])
    difference = float(correct.mean() - best_correct.mean())
    return AgainstBest(
        difference=difference,
        interval=(difference, difference),
        p_value=test.p_value,
        p_holm=test.p_value,
        method="mcnemar",
        only_this_right=test.only_a,
        only_best_right=test.only_b,
        rows_needed=None,
        seeds_needed=None,
    )
