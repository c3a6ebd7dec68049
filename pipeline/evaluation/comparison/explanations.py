"""The lines below the tables: what their marks and figures mean, for those that occur."""

from pipeline.data.spec import SPEC
from pipeline.evaluation.comparison import words
from pipeline.evaluation.comparison.model import Comparison, Group, Scores

NO_RUNS = "no scored runs yet; make submit makes one"

INTERVALS = (
    "[ ]: 95 % intervals, not corrected. p: how often equally good recipes differ this much or "
    "more, corrected for the number of pairs of recipes (Holm); so it depends on WHERE, and may "
    "be above 0.05 where the interval excludes 0. A filter chosen after looking makes p too small."
)

MCNEMAR = (
    "With one seed each, p is the exact McNemar test's. It is about these two trainings; SEED=1 "
    "and SEED=2 show how much a recipe varies."
)

CROSSED = "With several seeds, interval and p allow for chance in both rows and seeds."

ONE_SEED = (
    "A recipe with one seed is taken to vary as the one here that varies most between seeds; if it "
    "varies more, its p is too small."
)

AVERAGE = (
    "An average of runs is taken as it is, without other seeds; against the runs that it is made "
    "of, p is rough."
)

DEVIATION = "+- sd: the standard deviation between seeds."

EXPECTED = f"expected: where the public score, on {SPEC.public_rows:,} other rows, will lie."

OUT_OF_FOLD = (
    "Of a run with folds, one fold predicts each validation row and all of them each test row: its "
    "public score is often higher than expected."
)

OPTIMISM = (
    "In recipes such as bn_cnn and quick, the validation rows also choose the checkpoints. Their "
    "validation accuracies are probably too high, by 0.0002 to 0.0004 where this was measured "
    "(docs/comparing.md)."
)
"""tests/bench/optimism.py measures it."""

REVEALED = "r: submitted after a private score had been revealed, which may have led the choice."

ONE_FOLD = (
    "*: too low, so do not rely on p. Of the members trained on folds, only those of one fold "
    "predict each validation row, because the others trained on it; the submission averages all."
)


def lines(comparison: Comparison) -> list[str]:
    """Return the explanations, then the pairs, the runs without scores, and the correlations."""
    found = [*_tables(comparison), *_pairs(comparison), *_public_scores(comparison)]
    if not comparison.groups:
        found.append(NO_RUNS)
    for run in comparison.unscored:
        found.append(f"without scores: {run.id} ({run.state()}) {run.record.reason}".rstrip())
    return found


def _tables(comparison: Comparison) -> list[str]:
    """Return the explanations of what occurs in the tables."""
    rows = [row for group in comparison.groups for row in group.recipes]
    runs = [run for group in comparison.groups for run in group.runs]
    scores: list[Scores] = [row.scores for row in rows]
    methods = {row.against_best.method for row in rows if row.against_best}
    occurs = {
        INTERVALS: bool(methods),
        DEVIATION: any(row.deviation is not None for row in rows),
        MCNEMAR: "mcnemar" in methods,
        CROSSED: "crossed" in methods,
        ONE_SEED: any(map(_borrows_chance, comparison.groups)),
        AVERAGE: any(run.parents for run in runs),
        EXPECTED: any(run.test_accuracy is None for run in runs),
        OUT_OF_FOLD: any(one.out_of_fold and not one.one_fold_a_row for one in scores),
        OPTIMISM: any(one.rows_also_chose for one in scores),
        ONE_FOLD: any(one.one_fold_a_row for one in scores),
        REVEALED: any(run.after_reveal for run in runs),
    }
    return [text for text, shown in occurs.items() if shown]


def _borrows_chance(group: Group) -> bool:
    """Return whether a recipe with several seeds is compared with one that has a single seed."""
    averages = {run.run for run in group.runs if run.parents}
    rows = [row for row in group.recipes if row.best_run not in averages]
    best = next((row for row in rows if row.against_best is None), None)
    return best is not None and any(
        row.against_best.method == "crossed" and None in (row.deviation, best.deviation)
        for row in rows
        if row.against_best
    )


def _pairs(comparison: Comparison) -> list[str]:
    if not comparison.pairs:
        return []
    pairs = [
        f"  {pair.first} {words.share(pair.first_accuracy)}, "
        f"{pair.second} {words.share(pair.second_accuracy)} "
        f"on their {pair.rows:,} common rows: {words.p_equals(pair.p_value)} (only the first is "
        f"right in {pair.only_first_right}, only the second in {pair.only_second_right})"
        for pair in comparison.pairs
    ]
    return [
        "Across splits, the best two runs without a common network (p is not corrected):",
        *pairs,
    ]


def _public_scores(comparison: Comparison) -> list[str]:
    """Return how validation and public scores go together, for competitions with five or more."""
    return [
        f"{one.competition}: rank correlation of validation accuracy and public score "
        f"{one.rank_correlation:+.2f} (rough: {len(one.points)} submissions)"
        for one in comparison.public_scores
        if one.rank_correlation is not None
    ]
