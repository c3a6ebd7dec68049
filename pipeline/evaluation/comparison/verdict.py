"""What a group's figures mean, in plain words: what to submit, and what is not sure."""

from collections.abc import Sequence

from pipeline.data.spec import SPEC
from pipeline.evaluation.comparison import cells, words
from pipeline.evaluation.comparison.model import AgainstBest, Group, RecipeRow

SIGNIFICANT = 0.05
"""A difference with a lower corrected p-value counts as real."""

_MOST_NAMED = 5
_LARGEST_OPTIMISM = 0.0004  # measured: tests/bench/optimism.json


def lines(group: Group) -> list[str]:
    """Return the verdict on a group of recipes, which are in any order."""
    best = next(row for row in group.recipes if row.against_best is None)
    tested = [(row, row.against_best) for row in group.recipes if row.against_best]
    worse = [row for row, test in tested if test.p_holm < SIGNIFICANT]
    alike = [(row, test) for row, test in tested if test.p_holm >= SIGNIFICANT]
    found = [_submit(group, best)]
    sure = [row for row in worse if None not in (row.deviation, best.deviation)]
    if sure:
        found.append(f"Worse, beyond chance: {_names(group, sure)}.")
    if len(sure) < len(worse):
        names = _names(group, [row for row in worse if row not in sure])
        found.append(f"Worse, as far as a single seed or average can tell: {names}.")
    if alike:
        names = _names(group, [row for row, _ in alike])
        found.append(f"Not distinguishable from {words.recipe_name(best.recipe)}: {names}.")
        found += _advice(group, best, alike)
    return found


def _submit(group: Group, best: RecipeRow) -> str:
    """Return which run of the best recipe to submit, with the command."""
    name, run = words.recipe_name(best.recipe), cells.run_of(group, best)
    if cells.has_test_labels(group):
        return f"Best: {name}, run {run.run}"
    if run.public_score is not None:
        score = words.share(run.public_score)
        return f"Best: {name}. Run {run.run} is submitted: public score {score}"
    return f"Submit {name}: make submit RUN={run.run}"


def _names(group: Group, rows: Sequence[RecipeRow]) -> str:
    """Return the names of recipes with their numbers in the table, as "quick (row 3)"."""
    named = [
        f"{words.recipe_name(row.recipe)} (row {group.recipes.index(row) + 1})"
        for row in rows[:_MOST_NAMED]
    ]
    more = len(rows) - len(named)
    return ", ".join([*named, f"{more} more"] if more else named)


def _advice(
    group: Group, best: RecipeRow, alike: Sequence[tuple[RecipeRow, AgainstBest]]
) -> list[str]:
    """Return what it would take to tell recipes from the best."""
    seeds_of = "it" if cells.run_of(group, best).parents else "each"
    texts = [
        f"  {_names(group, [row])}: {_needed(test, seeds_of)}{_optimism(row, best, test)}"
        for row, test in alike[:_MOST_NAMED]
    ]
    fewest = [test.rows_needed for _, test in alike if test.rows_needed]
    if best.scores.rows < min(fewest, default=0) <= SPEC.train_rows:
        texts.append(
            f'  SET="members.folds=5" for both judges them on all labelled rows, '
            f"{SPEC.train_rows:,} of Kaggle's"
        )
    return texts


def _optimism(row: RecipeRow, best: RecipeRow, test: AgainstBest) -> str:
    """Return a warning where only the best's accuracy may be too high because its rows chose."""
    only_best_chose = best.scores.rows_also_chose and not row.scores.rows_also_chose
    if not only_best_chose or -test.difference > _LARGEST_OPTIMISM:
        return ""
    return "; only the best's rows also chose its checkpoints, which may be as much"


def _needed(test: AgainstBest, seeds_of: str) -> str:
    """Return how many rows or seeds would show a difference as large as the one seen.

    `seeds_of` is "each", or "it" where the best has no seeds.
    """
    difference = words.share(abs(test.difference))
    if not round(test.difference, 5):
        return "no difference was seen; take the cheaper one"
    ways = []
    if test.rows_needed and test.rows_needed <= SPEC.train_rows:
        ways.append(f"{words.count(_rounded(test.rows_needed), 'row')}")
    if test.seeds_needed:
        ways.append(f"{words.count(test.seeds_needed, 'seed')} of {seeds_of}")
    if not ways:
        if test.method == "mcnemar":
            return f"{SPEC.train_rows:,} rows would not show {difference}; more seeds may tell"
        return f"neither {SPEC.train_rows:,} rows nor more seeds would show {difference}"
    return f"a difference of {difference} takes about {' or '.join(ways)} to show"


def _rounded(number: int) -> int:
    """Return a number with two digits that are not 0: it is an estimate."""
    return int(float(f"{number:.1e}"))
