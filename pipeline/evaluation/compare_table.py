"""The comparison of runs as tables and notes for a terminal."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.evaluation.compare import Comparison, Group, Pair, RankedRun

COLUMNS = (
    "run",
    "recipe",
    "seed",
    "members",
    "epochs",
    "validation accuracy (95 %)",
    "log loss",
    "p against best",
)
"""The first columns of every table; "test accuracy" or "public score" and "minutes" follow."""

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


def header(group: Group) -> list[str]:
    """Return the names of a group's columns."""
    score = "test accuracy" if _has_test_accuracy(group) else "public score"
    return [*COLUMNS, score, "minutes"]


def cells(group: Group) -> list[list[str]]:
    """Return one list of texts per run of a group, one text per column of `header`."""
    most_rows, with_test = _most_rows(group), _has_test_accuracy(group)
    return [_run_cells(ranked, most_rows, with_test) for ranked in group.runs]


def table(group: Group) -> Table:
    """Return a group as a table for the terminal."""
    layout = Table(title=escape(title(group)), title_justify="left")
    for column in header(group):
        layout.add_column(column, justify="left" if column in ("run", "recipe") else "right")
    for texts in cells(group):
        layout.add_row(*map(escape, texts))
    return layout


def sentence(pair: Pair) -> str:
    """Return the scores of two runs of different splits on their common validation rows."""
    return (
        f"{pair.first} {pair.first_accuracy:.5f}, {pair.second} {pair.second_accuracy:.5f} on "
        f"{pair.rows:,} common validation rows: p {pair.p_value:.3g} "
        f"({pair.only_first_right}:{pair.only_second_right})"
    )


def notes(comparison: Comparison) -> list[str]:
    """Return the lines below the tables: explanations, the pairs, and the runs without scores."""
    lines = []
    if any(ranked.one_fold_a_row for group in comparison.groups for ranked in group.runs):
        lines.append(ONE_FOLD_EXPLANATION)
    if comparison.pairs:
        pairs = [f"  {sentence(pair)}" for pair in comparison.pairs]
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


def _has_test_accuracy(group: Group) -> bool:
    return any(ranked.test_accuracy is not None for ranked in group.runs)


def _run_cells(ranked: RankedRun, most_rows: int, with_test: bool) -> list[str]:
    score = ranked.test_accuracy if with_test else ranked.public_score
    return [
        ranked.run if ranked.state == "done" else f"{ranked.run} ({ranked.state})",
        ranked.recipe,
        ", ".join(map(str, ranked.seeds)),
        str(ranked.members),
        str(ranked.epochs),
        _accuracy_text(ranked, most_rows),
        f"{ranked.log_loss:.5f}",
        _p_value_text(ranked),
        "" if score is None else f"{score:.5f}",
        f"{ranked.minutes:.1f}",
    ]


def _accuracy_text(ranked: RankedRun, most_rows: int) -> str:
    """Return accuracy and interval; then the number of rows if it is smaller, and the asterisk."""
    text = f"{ranked.validation_accuracy:.5f} [{ranked.low:.5f}, {ranked.high:.5f}]"
    if ranked.validation_rows < most_rows:
        text += f" on {ranked.validation_rows:,} rows"
    return f"{text} *" if ranked.one_fold_a_row else text


def _p_value_text(ranked: RankedRun) -> str:
    if ranked.p_value is None:
        return "best"
    return f"{ranked.p_value:.3g} ({ranked.only_this_right}:{ranked.only_best_right})"
