"""The comparison of runs as tables and notes for a terminal."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.evaluation.compare import Comparison, Group, RankedRun

EXPLANATION = (
    "p against best: the p-value of an exact McNemar test between this run and the best. In "
    "brackets (a:b): a rows that only this run gets right, b rows that only the best gets right. A "
    "difference with p above 0.05 may be chance; if you compare many runs, divide 0.05 by their "
    "number. In recipes such as bn_cnn and quick, the validation rows also choose the checkpoints "
    "or stop the training; their validation accuracies are slightly too high."
)

ONE_FOLD_EXPLANATION = (
    "*: this validation accuracy is too low, so do not rely on p. Of the members trained on folds, "
    "only those of one fold predict each validation row, because the others trained on it; the "
    "submission averages all members."
)

PAIRS_EXPLANATION = (
    "Here, a row is predicted only by those members of a run that did not train on it; the "
    "submission averages all members."
)

NO_RUNS = "no scored runs yet; make submit makes one"


def title(group: Group) -> str:
    """Return what the runs of a group have in common: source, split, number of rows."""
    return f"{group.source}: split {group.split[:12]}, {_most_rows(group):,} validation rows"


def cells(group: Group) -> list[dict[str, str]]:
    """Return one text per column for each run of a group, by the columns' names.

    "test accuracy" replaces the column "public score" if a run of the group has one.
    """
    most_rows = _most_rows(group)
    with_test = any(ranked.test_accuracy is not None for ranked in group.runs)
    return [_run_cells(ranked, most_rows, with_test) for ranked in group.runs]


def table(group: Group) -> Table:
    """Return a group as a table for the terminal."""
    layout = Table(title=escape(title(group)), title_justify="left")
    rows = cells(group)
    for column in rows[0]:
        layout.add_column(column, justify="left" if column in ("run", "recipe") else "right")
    for row in rows:
        layout.add_row(*map(escape, row.values()))
    return layout


def notes(comparison: Comparison) -> list[str]:
    """Return the lines below the tables: explanations, the pairs, and the runs without scores."""
    lines = []
    if any(ranked.one_fold_a_row for group in comparison.groups for ranked in group.runs):
        lines.append(ONE_FOLD_EXPLANATION)
    if comparison.pairs:
        pairs = [
            f"  {pair.first} {pair.first_accuracy:.5f}, {pair.second} {pair.second_accuracy:.5f} "
            f"on {pair.rows:,} common validation rows: p {pair.p_value:.3g} "
            f"({pair.only_first_right}:{pair.only_second_right})"
            for pair in comparison.pairs
        ]
        lines += ["the best runs of different splits, in pairs:", *pairs, PAIRS_EXPLANATION]
    lines.append(EXPLANATION if comparison.groups else NO_RUNS)
    for run in comparison.unscored:
        lines.append(f"without scores: {run.id} ({run.state()}) {run.record.reason}".rstrip())
    return lines


def show(comparison: Comparison) -> None:
    """Print the tables of all groups, then the notes."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for group in comparison.groups:
        console.print(table(group))
    for line in notes(comparison):
        console.print(line, markup=False)


def _most_rows(group: Group) -> int:
    """Return the number of validation rows of the split; a run whose fold failed has fewer."""
    return max(ranked.validation_rows for ranked in group.runs)


def _run_cells(ranked: RankedRun, most_rows: int, with_test: bool) -> dict[str, str]:
    """Return the texts of one run, with its number of rows if that is below `most_rows`."""
    accuracy = f"{ranked.validation_accuracy:.5f} [{ranked.low:.5f}, {ranked.high:.5f}]"
    if ranked.validation_rows < most_rows:
        accuracy += f" on {ranked.validation_rows:,} rows"
    p_value = "best"
    if ranked.p_value is not None:
        p_value = f"{ranked.p_value:.3g} ({ranked.only_this_right}:{ranked.only_best_right})"
    score_name, score = "public score", ranked.public_score
    if with_test:
        score_name, score = "test accuracy", ranked.test_accuracy
    return {
        "run": ranked.run if ranked.state == "done" else f"{ranked.run} ({ranked.state})",
        "recipe": ranked.recipe,
        "seed": ", ".join(map(str, ranked.seeds)),
        "members": str(ranked.members),
        "epochs": str(ranked.epochs),
        "validation accuracy (95 %)": f"{accuracy} *" if ranked.one_fold_a_row else accuracy,
        "log loss": f"{ranked.log_loss:.5f}",
        "p against best": p_value,
        score_name: "" if score is None else f"{score:.5f}",
        "minutes": f"{ranked.minutes:.1f}",
    }
