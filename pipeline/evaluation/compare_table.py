"""A comparison of runs as a person reads it, on the terminal."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.evaluation.compare import Comparison, Group, Pair, Row

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
"""The columns of every table; a test accuracy or a public score, and the minutes, follow."""


def title(group: Group) -> str:
    """Say what the runs of a group have in common."""
    return f"{group.source}: split {group.split[:12]}, {_size(group):,} validation rows"


def header(group: Group) -> list[str]:
    """Return the names of a group's columns."""
    return [*COLUMNS, "test accuracy" if _published(group) else "public score", "minutes"]


def cells(group: Group) -> list[list[str]]:
    """Return a line for each run of a group, a text for each of its columns."""
    return [_cells(row, _size(group), _published(group)) for row in group.rows]


def table(group: Group) -> Table:
    """Lay a group out for the terminal."""
    made = Table(title=escape(title(group)), title_justify="left")
    for column in header(group):
        made.add_column(column, justify="left" if column in ("run", "recipe") else "right")
    for line in cells(group):
        made.add_row(*map(escape, line))
    return made


def _size(group: Group) -> int:
    return max(row.validation_rows for row in group.rows)


def _published(group: Group) -> bool:
    return any(row.test_accuracy is not None for row in group.rows)


def _cells(row: Row, size: int, published: bool) -> list[str]:
    score = row.test_accuracy if published else row.public_score
    return [
        row.run if row.state == "done" else f"{row.run} ({row.state})",
        row.recipe,
        ", ".join(map(str, row.seeds)),
        str(row.members),
        str(row.epochs),
        f"{row.validation_accuracy:.5f} [{row.low:.5f}, {row.high:.5f}]{_notes(row, size)}",
        f"{row.log_loss:.5f}",
        _verdict(row),
        "" if score is None else f"{score:.5f}",
        f"{row.minutes:.1f}",
    ]


def _notes(row: Row, size: int) -> str:
    """Return on how many rows a run was judged, where a fold failed; and if too low a share."""
    fewer = "" if row.validation_rows == size else f" on {row.validation_rows:,} rows"
    return f"{fewer} *" if row.one_fold_a_row else fewer


def _verdict(row: Row) -> str:
    if row.p_value is None:
        return "best"
    return f"{row.p_value:.3g} ({row.only_this_right}:{row.only_best_right})"


PAIRS_EXPLAINED = (
    "A run with folds stands there with one fold a row, that which was not trained on it; its CSV "
    "has the mean of all."
)

NO_RUNS = "no scored runs yet; make submit makes one"

ONE_FOLD_EXPLAINED = (
    "*: too low, and its p with it. Each validation row is predicted by one fold alone, as the "
    "others were trained on it; the CSV has the mean of all."
)

EXPLANATION = (
    "p against best: exact McNemar test on the rows that only one of the two gets right (a:b, "
    "this run's : the best's). Above 0.05 the difference may be chance; with many runs, look for "
    "less than 0.05 divided by their number. Where the validation rows also "
    "chose the checkpoints or stopped the training, as in bn_cnn and quick, validation accuracies "
    "are a little too good."
)


def sentence(pair: Pair) -> str:
    """Say how two runs of different splits fare on the rows that both were judged on."""
    return (
        f"{pair.first} {pair.first_accuracy:.5f}, {pair.second} {pair.second_accuracy:.5f} on the "
        f"{pair.rows:,} rows that both were judged on: p {pair.p_value:.3g} "
        f"({pair.only_first_right}:{pair.only_second_right})"
    )


def notes(comparison: Comparison) -> list[str]:
    """Return what stands below the tables: the pairs, what it all means, runs without scores."""
    lines = []
    if any(row.one_fold_a_row for group in comparison.groups for row in group.rows):
        lines.append(ONE_FOLD_EXPLAINED)
    if comparison.pairs:
        pairs = [f"  {sentence(pair)}" for pair in comparison.pairs]
        lines += ["the best of each split, two by two:", *pairs, PAIRS_EXPLAINED]
    lines.append(EXPLANATION if comparison.groups else NO_RUNS)
    for run in comparison.unscored:
        lines.append(f"without scores: {run.id} ({run.state()}) {run.record.reason}".rstrip())
    return lines


def show(comparison: Comparison) -> None:
    """Print every group's table, and what stands below them."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for group in comparison.groups:
        console.print(table(group))
    for line in notes(comparison):
        console.print(line, markup=False)
