"""Which runs are of one recipe, and in which settings the recipes of a group differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.common import provenance
from pipeline.evaluation.comparison.model import Setting
from pipeline.evaluation.comparison.scored_run import ScoredRun
from pipeline.recipe import Recipe
from pipeline.runs import Run, TrainingRecord

NO_DIFFERENCE: dict[str, Any] = {
    "name": True,
    "seed": True,
    "members": {"retries", "required", "hours"},
    "network": {"file"},
}
"""What may differ between runs of one recipe. The code of a network file counts, not its place."""


@dataclass(frozen=True, eq=False)
class RecipeRuns:
    """The runs of one recipe on the same rows, newest first; an average of runs is one by itself.

    Of several runs with the same seed, the newest counts.
    """

    runs: Sequence[ScoredRun]

    @cached_property
    def counted(self) -> list[ScoredRun]:
        """The newest run of each seed, by seed."""
        newest = {_seed(scored.run): scored for scored in reversed(self.runs)}
        return [newest[seed] for seed in sorted(newest)]

    @cached_property
    def best(self) -> ScoredRun:
        """The run that counts with the highest accuracy, then the lowest log loss."""
        return min(self.counted, key=lambda scored: scored.rank)

    @cached_property
    def rank(self) -> tuple[float, float]:
        """What recipes are sorted by, best first: mean accuracy, then mean log loss."""
        accuracy, log_loss = np.mean([scored.rank for scored in self.counted], axis=0)
        return float(accuracy), float(log_loss)

    @property
    def is_average(self) -> bool:
        """Whether this is an average of runs."""
        return not isinstance(self.best.run.record, TrainingRecord)

    @property
    def name(self) -> str:
        """The name of the recipe, or those of an average's recipes, joined by " + "."""
        return self.best.run.record.recipe_name

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs that count, or of an average's members, ascending."""
        return sorted({seed for scored in self.counted for seed in seeds_of(scored.run)})

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which rows the runs that count get right, bool [runs, rows]."""
        return np.stack([scored.correct for scored in self.counted])


def seeds_of(run: Run) -> list[int]:
    """Return the seed of a run that trains, or the seeds of an average's members, ascending."""
    if isinstance(run.record, TrainingRecord):
        return [run.record.seed]
    return sorted({member.seed for member in run.record.members})


def _seed(run: Run) -> int:
    return seeds_of(run)[0] if isinstance(run.record, TrainingRecord) else 0


def by_recipe(runs: Iterable[ScoredRun]) -> list[RecipeRuns]:
    """Return runs on one split by recipe, best first. `runs` are newest first."""
    found: dict[str, list[ScoredRun]] = {}
    for scored in runs:
        found.setdefault(_identity(scored), []).append(scored)
    return sorted(map(RecipeRuns, found.values()), key=lambda recipe: recipe.rank)


def _identity(scored: ScoredRun) -> str:
    """Return what runs of one recipe share: settings, code, libraries, and validation rows."""
    record, parts = scored.run.record, {"rows": scored.rows.tobytes().hex()}
    if not isinstance(record, TrainingRecord):
        return provenance.hash_of({**parts, "average": sorted(record.parents)})
    recipe = record.recipe.model_dump(mode="json", exclude=NO_DIFFERENCE)
    code, versions = record.code_fingerprint, record.versions
    return provenance.hash_of({**parts, "recipe": recipe, "code": code, "versions": versions})


def differences(recipes: Sequence[RecipeRuns]) -> list[dict[str, Setting]]:
    """Return the settings of each recipe that differ between them, by dotted key.

    Recipes with equal settings differ by "code" (the beginning of its fingerprint) or "versions"
    (those of the libraries that differ). An average has "average", the runs that it averages.
    """
    records = [recipe.best.run.record for recipe in recipes]
    trained = [record for record in records if isinstance(record, TrainingRecord)]
    values: dict[str, set[Setting]] = {}
    for one in trained:
        for key, value in settings_of(one.recipe).items():
            values.setdefault(key, set()).add(value)
    keys = [key for key, different in values.items() if len(different) > 1]
    found: list[dict[str, Setting]] = []
    for record in records:
        if isinstance(record, TrainingRecord):
            own = settings_of(record.recipe)
            twins = [twin for twin in trained if settings_of(twin.recipe) == own]
            found.append({**{key: own[key] for key in keys}, **_provenance(record, twins)})
        else:
            found.append({"average": " + ".join(record.parents)})
    return found


def with_choosing_rows(runs: Iterable[Run]) -> set[str]:
    """Return the runs whose validation rows also chose checkpoints, learning rate or length."""
    recipes = {run.id: run.record.recipe for run in runs if isinstance(run.record, TrainingRecord)}
    return {
        name
        for name, recipe in recipes.items()
        if recipe.checkpoints.keep_best
        or recipe.reduce_on_plateau.enabled
        or recipe.early_stopping.enabled
    }


def settings_of(recipe: Recipe) -> dict[str, Setting]:
    """Return the settings of a recipe that may change a number, by dotted key, without the seed."""
    tables = recipe.model_dump(mode="json", exclude=NO_DIFFERENCE)
    return {f"{table}.{key}": value for table in tables for key, value in tables[table].items()}


def _provenance(record: TrainingRecord, twins: Sequence[TrainingRecord]) -> dict[str, Setting]:
    """Return in which code and libraries a run differs from others with the same settings."""
    found: dict[str, Setting] = {}
    if len({twin.code_fingerprint for twin in twins}) > 1:
        found["code"] = record.code_fingerprint[:8]
    libraries = [
        name
        for name in sorted({name for twin in twins for name in twin.versions})
        if len({twin.versions.get(name) for twin in twins}) > 1
    ]
    if libraries:
        found["versions"] = ", ".join(
            f"{name} {record.versions.get(name, 'unknown')}" for name in libraries
        )
    return found
