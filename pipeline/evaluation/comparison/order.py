"""`SORT`: the order of the recipes and runs in each group."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pipeline.common.errors import PipelineError
from pipeline.evaluation.comparison.model import Comparison, Group, RecipeRow, RunRow
from pipeline.recipe.keys import shown
from pipeline.recipe.spelling import suggestion

_KEYS: dict[str, Callable[[RecipeRow | RunRow, Sequence[RunRow]], Any]] = {
    "accuracy": lambda row, runs: (-row.scores.accuracy, row.scores.log_loss),
    "log_loss": lambda row, runs: row.scores.log_loss,
    "calibration": lambda row, runs: row.scores.calibration_error,
    "minutes": lambda row, runs: row.minutes,
    "public": lambda row, runs: -1.0 if runs[0].public_score is None else runs[0].public_score,
    "recipe": lambda row, runs: row.recipe,
    "newest": lambda row, runs: max(run.created_at for run in runs),
}
"""What a recipe or a run is sorted by, given its runs, the best one first."""

_DESCENDING = ("public", "newest")

ORDERS = tuple(_KEYS)


def check_order(order: str) -> None:
    """Raise PipelineError unless `order` is one of ORDERS."""
    if order not in ORDERS:
        hint = suggestion(order, ORDERS)
        raise PipelineError(f"SORT is {shown(order)}{hint}; it must be one of {', '.join(ORDERS)}")


def ordered(comparison: Comparison, order: str) -> Comparison:
    """Return the comparison with each group's recipes and runs in one of ORDERS.

    Scores, minutes and names ascend, but accuracies, public scores and times descend. Equal rows
    stay as they are.
    """
    return replace(comparison, groups=[_ordered(group, order) for group in comparison.groups])


def _ordered(group: Group, order: str) -> Group:
    runs, key, reverse = {run.run: run for run in group.runs}, _KEYS[order], order in _DESCENDING

    def recipe_key(number: int) -> Any:
        row = group.recipes[number]
        others = [name for name in row.runs if name != row.best_run]
        return key(row, [runs[name] for name in (row.best_run, *others)])

    numbers = sorted(range(len(group.recipes)), key=recipe_key, reverse=reverse)
    places = {number: place for place, number in enumerate(numbers)}
    moved = [replace(run, recipe_row=places[run.recipe_row]) for run in group.runs]
    return replace(
        group,
        recipes=[group.recipes[number] for number in numbers],
        runs=sorted(moved, key=lambda run: key(run, [run]), reverse=reverse),
    )
