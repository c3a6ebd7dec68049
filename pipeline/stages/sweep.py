"""The command `sweep`: trains every combination of some settings, and compares the runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pipeline import recipe as recipes
from pipeline.common.errors import FailedRunError, PipelineError
from pipeline.recipe import MOST_COMBINATIONS, Recipe, parse_grid
from pipeline.recipe.words import as_words
from pipeline.runs import Run
from pipeline.stages.compare import show_runs
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.tracked import tracked
from pipeline.stages.train import check


@dataclass(frozen=True)
class Combination:
    """One run of a sweep: its settings as a person would type them, and its recipe."""

    settings: str
    recipe: Recipe

    @classmethod
    def parse(
        cls, recipe: str, settings: str, seed: int | None, sweep: str, seeds: int
    ) -> list[Self]:
        """Return the combinations that RECIPE, SET, SEED, SWEEP and SEEDS mean, seed by seed.

        So a sweep that is stopped early has every combination with the first seeds. Raises
        PipelineError for a value that is not allowed, before anything is trained.
        """
        grid = parse_grid(sweep, settings)
        if len(grid) * seeds > MOST_COMBINATIONS:
            raise PipelineError(
                f"SWEEP has {len(grid):,} combinations, with SEEDS={seeds} {len(grid) * seeds:,} "
                f"runs; at most {MOST_COMBINATIONS:,} are allowed"
            )
        first = recipes.load(recipe, settings, seed).seed
        return [
            cls(
                as_words(varied),
                recipes.load(
                    recipe, settings, first + number, {**varied, "seed": first + number}, "SWEEP"
                ),
            )
            for number in range(seeds)
            for varied in grid
        ]


def sweep(context: Context, combinations: Sequence[Combination]) -> None:
    """Train each combination as an ordinary run, then compare them all.

    Runs that are done are not trained again. One that fails does not stop the others. Raises
    PipelineError if any has failed, once the others are compared, and before any is trained, if one
    has a network or folds that cannot be.
    """
    context.dataset  # noqa: B018  (read here, once for all runs)
    tables = {"network", "members", "split"}
    different = {one.recipe.model_dump_json(include=tables): one.recipe for one in combinations}
    for recipe in different.values():
        check(context.with_recipe(recipe))
    runs: list[Run] = []
    failures: list[str] = []
    for number, one in enumerate(combinations, start=1):
        context.report(
            f"sweep {number} of {len(combinations)}: {one.settings}, seed {one.recipe.seed}"
        )
        try:
            runs.append(tracked(ensemble, context.with_recipe(one.recipe)))
        except FailedRunError as error:
            context.report(f"failed: {error}")
            failures.append(f"{one.settings}, seed {one.recipe.seed}")
        except KeyboardInterrupt:
            context.report(
                f"sweep: {number - 1} of {len(combinations)} runs were done before this one; the "
                "same command continues"
            )
            raise
    if runs:
        show_runs(context, list({run.id: run for run in runs}.values()))
    if failures:
        raise PipelineError(
            f"{len(failures)} of {len(combinations)} runs failed ({'; '.join(failures)}); make "
            "runs lists the reasons, and the same command tries them again"
        )
