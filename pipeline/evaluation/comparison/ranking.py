"""Ranks recipes by their validation rows and tests whether their differences mean anything.

Only runs on the same split are ranked together. The best runs of different splits are compared in
pairs, on the validation rows that both have. All scores are computed from the stored
probabilities; those in the run records are not used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.competitions.ledger import Upload
from pipeline.evaluation import scores
from pipeline.evaluation.comparison import measures
from pipeline.evaluation.comparison.model import (
    Comparison,
    Group,
    Pair,
    RecipeRow,
    RunRow,
)
from pipeline.evaluation.comparison.recipes import (
    RecipeRuns,
    by_recipe,
    differences,
    seeds_of,
    with_choosing_rows,
)
from pipeline.evaluation.comparison.run_rows import run_row
from pipeline.evaluation.comparison.scored_run import ScoredRun, common_rows, load
from pipeline.evaluation.comparison.submissions import public_scores
from pipeline.runs import Run


def compare(
    runs: Sequence[Run],
    uploads: Sequence[Upload],
    unreadable: Mapping[str, str],
    parents: Sequence[Run] = (),
) -> Comparison:
    """Group the scored runs by split and recipe; rank by validation accuracy, then log loss.

    `runs` are oldest first. `unreadable` are the runs whose record cannot be read; those whose
    probabilities cannot be read are added. A run's public and private score come from the upload of
    exactly the CSV that its stored probabilities give. `parents` are further runs that those
    compared may average.
    """
    by_split: dict[tuple[str, str], list[ScoredRun]] = {}
    left_out = dict(unreadable)
    choosers = with_choosing_rows([*runs, *parents])
    for run in reversed(runs):
        if run.record.scores:
            key = (run.record.data_fingerprint, run.record.split_fingerprint)
            try:
                by_split.setdefault(key, []).append(load(run, choosers))
            except PipelineError as error:
                left_out[run.id] = str(error)
    splits = [found for found in by_split.values() if found]
    return Comparison(
        groups=[_group(by_recipe(found), uploads) for found in splits],
        pairs=_pairs(splits),
        public_scores=public_scores([one for found in splits for one in found], uploads),
        unscored=[run for run in runs if not run.record.scores],
        unreadable=left_out,
    )


def _group(recipes: Sequence[RecipeRuns], uploads: Sequence[Upload]) -> Group:
    """Return the recipes on one split, which are best first, with all their runs."""
    record = recipes[0].best.run.record
    practice = f", seed {record.practice_seed}" if record.source == "practice" else ""
    numbered = [(scored, number) for number, one in enumerate(recipes) for scored in one.runs]
    alone = measures.scores_of([[scored] for scored, _ in numbered])
    runs = [
        run_row(scored, scores, number, uploads)
        for (scored, number), scores in zip(numbered, alone, strict=True)
    ]
    runs.sort(key=lambda row: (-row.scores.accuracy, row.scores.log_loss))
    return Group(
        source=printable(f"{record.source}{practice}"),
        split=record.split_fingerprint,
        recipes=_recipe_rows(recipes, {row.run: row for row in runs}),
        runs=runs,
    )


def _recipe_rows(recipes: Sequence[RecipeRuns], runs: Mapping[str, RunRow]) -> list[RecipeRow]:
    """Return the recipes, given their runs by id."""
    several = [recipe for recipe in recipes if len(recipe.counted) > 1]
    means = dict(
        zip(several, measures.scores_of([recipe.counted for recipe in several]), strict=True)
    )
    rows = []
    against = [None, *measures.against_best(recipes)]
    for recipe, settings, test in zip(recipes, differences(recipes), against, strict=True):
        counted = [runs[scored.run.id] for scored in recipe.counted]
        rows.append(
            RecipeRow(
                recipe=recipe.name,
                runs=[scored.run.id for scored in sorted(recipe.runs, key=_seeds)],
                best_run=recipe.best.run.id,
                seeds=recipe.seeds,
                settings=settings,
                scores=replace(
                    means.get(recipe, counted[0].scores),
                    expected_public=runs[recipe.best.run.id].scores.expected_public,
                ),
                deviation=measures.deviation(recipe.correct),
                minutes=sum(row.minutes for row in counted) / len(counted),
                against_best=test,
            )
        )
    return rows


def _seeds(scored: ScoredRun) -> list[int]:
    return seeds_of(scored.run)


def _pairs(splits: Sequence[Sequence[ScoredRun]]) -> list[Pair]:
    """Pair the comparable runs of every two splits whose accuracies have the highest sum."""
    pairs = []
    for first_runs, second_runs in combinations(splits, 2):
        best_first = sorted(
            product(first_runs, second_runs),
            key=lambda pair: (pair[0].rank[0] + pair[1].rank[0], pair[0].rank[1] + pair[1].rank[1]),
        )
        best_pair = next((pair for pair in best_first if _comparable(*pair)), None)
        if best_pair:
            pairs.append(_pair(*best_pair))
    return pairs


def _comparable(first: ScoredRun, second: ScoredRun) -> bool:
    """Return whether two runs share data and validation rows, but no run that they average."""
    ours, theirs = first.run.record, second.run.record
    same_data = ours.data_fingerprint == theirs.data_fingerprint
    common_runs = {ours.id, *ours.parents} & {theirs.id, *theirs.parents}
    return same_data and not common_runs and len(common_rows(first, second)[0]) > 0


def _pair(first: ScoredRun, second: ScoredRun) -> Pair:
    ours, theirs = common_rows(first, second)
    first_correct, second_correct = first.correct[ours], second.correct[theirs]
    test = scores.mcnemar_exact(first_correct, second_correct)
    return Pair(
        first=first.run.id,
        second=second.run.id,
        rows=len(first_correct),
        first_accuracy=float(first_correct.mean()),
        second_accuracy=float(second_correct.mean()),
        p_value=test.p_value,
        only_first_right=test.only_a,
        only_second_right=test.only_b,
    )
