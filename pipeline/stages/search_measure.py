"""The measurement at the end of a search: winner and start, trained anew on other rows."""

from collections.abc import Sequence
from functools import reduce
from time import sleep
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common.errors import ClaimedError, FailedRunError, PipelineError
from pipeline.recipe import Recipe
from pipeline.runs import Run, claim
from pipeline.search.record import Measurement, TrialRecord
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.search_plan import SearchPlan
from pipeline.stages.tracked import tracked


class UnmeasurableError(PipelineError):
    """The winner's networks fail where they are trained anew."""


def check_measurable(context: Context, plan: SearchPlan) -> None:
    """Raise PipelineError, before any trial, for seeds or folds that cannot be."""
    recipes = [plan.measured({}, number) for number in range(plan.seeds)]
    context.with_recipe(recipes[0]).splits  # noqa: B018  (made here, and read back later)


def measure(context: Context, plan: SearchPlan, winner: TrialRecord, count: int) -> Measurement:
    """Return how winner and start compare. It is the search's `count`th measurement.

    `context` has the recipe of a trial. Runs that are done are not trained again. Raises
    UnmeasurableError where the winner's networks fail, and other PipelineErrors.
    """
    # SciPy takes a second to import.
    from pipeline.evaluation.statistics.difference import difference

    start_runs: list[Run] = []
    winner_runs: list[Run] = []
    for number in range(plan.seeds):
        start_runs.append(_trained(context, plan.measured({}, number), "the recipe itself"))
        recipe = plan.measured(winner.settings, number)
        try:
            winner_runs.append(_trained(context, recipe, f"trial {winner.number}"))
        except FailedRunError as error:
            raise UnmeasurableError(f"it cannot be measured: {error}") from None
    rows = _common_rows([*start_runs, *winner_runs])
    rows = np.setdiff1d(rows, context.splits[0].validation_rows)
    start, found = (_correct(runs, rows) for runs in (start_runs, winner_runs))
    result = difference(found, start)
    return Measurement(
        trial=winner.number,
        settings=winner.settings,
        seeds=plan.measured_seeds,
        folds=plan.folds,
        start_runs=[run.id for run in start_runs],
        winner_runs=[run.id for run in winner_runs],
        rows=len(rows),
        start_accuracy=float(start.mean()),
        winner_accuracy=float(found.mean()),
        interval=(result.interval.low, result.interval.high),
        p_value=min(1.0, result.p_value * count),
    )


def _trained(context: Context, recipe: Recipe, name: str) -> Run:
    context.report(f"measuring {name} with seed {recipe.seed}")
    while True:
        try:
            return tracked(ensemble, context.with_recipe(recipe))
        except ClaimedError as error:  # as by another search of the same recipe
            context.report(f"waiting: {error}")
            while claim.is_claimed(error.folder):
                sleep(1)


def _common_rows(runs: Sequence[Run]) -> NDArray[np.integer[Any]]:
    """Return the rows that all runs predict: a fold may have failed in one of them."""
    return reduce(np.intersect1d, [run.load_arrays("validation")["rows"] for run in runs])


def _correct(runs: Sequence[Run], rows: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Return which of the rows each run predicts correctly, bool [runs, rows]."""
    answers = []
    for run in runs:
        arrays = run.load_arrays("validation")
        correct = arrays["probabilities"].argmax(axis=1) == arrays["labels"]
        answers.append(pd.Series(correct, index=arrays["rows"]).reindex(rows).to_numpy())
    return np.stack(answers)
