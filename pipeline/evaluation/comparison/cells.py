"""The columns of the comparison's tables: headings, widths, and texts of a recipe or a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.evaluation.comparison import words
from pipeline.evaluation.comparison.model import Group, RecipeRow, RunRow, Scores

Row = TypeVar("Row", RecipeRow, RunRow)


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column: its heading, its characters, and its text for a row of a group."""

    heading: str
    width: int
    text: Callable[[Group, Row], str]


def title(group: Group) -> str:
    """Return what the runs of a group have in common: source, split, number of rows."""
    return f"{group.source}: split {group.split[:12]}, {_most_rows(group):,} validation rows"


def _most_rows(group: Group) -> int:
    """Return the number of validation rows of the split; a run whose fold failed has fewer."""
    return max(row.scores.rows for row in group.recipes)


def seeds(group: Group, row: RecipeRow) -> str:
    """Return a recipe's seeds, and the state of its best run if that is not done."""
    state = run_of(group, row).state
    return words.seeds(row) + ("" if state == "done" else f"\n({state})")


def run_of(group: Group, row: RecipeRow) -> RunRow:
    """Return the best run of a recipe."""
    return next(run for run in group.runs if run.run == row.best_run)


def telling_settings(group: Group, row: RecipeRow) -> list[str]:
    """Return the keys that tell a recipe from those of the same name in its group."""
    namesakes = [other.settings for other in group.recipes if other.recipe == row.recipe]
    return [
        key
        for key, value in row.settings.items()
        if key == "average" or any(other.get(key) != value for other in namesakes)
    ]


def accuracy(scores: Scores) -> str:
    """Return an accuracy, with "*" if it is too low because one fold predicts each row."""
    return words.share(scores.accuracy) + " *" * scores.one_fold_a_row


def _accuracy(group: Group, row: RecipeRow) -> str:
    """Return the accuracy, its spread and interval, and the rows if there are fewer than usual."""
    scores = row.scores
    first = accuracy(scores)
    if row.deviation is not None:
        first += f" +- {words.share(row.deviation)}"
    lines = [first, words.interval(scores.accuracy_interval)]
    if scores.rows < _most_rows(group):
        lines.append(f"on {scores.rows:,} rows")
    return "\n".join(lines)


def _against_best(group: Group, row: RecipeRow) -> str:
    test = row.against_best
    if test is None:
        return "best"
    first = f"{words.difference(test.difference)} {words.p_equals(test.p_holm)}"
    return f"{first}\n{words.signed_interval(test.interval)}"


def has_test_labels(group: Group) -> bool:
    """Return whether the test rows' labels are known, so that nothing is submitted."""
    return any(run.test_accuracy is not None for run in group.runs)


def _public(group: Group, row: RecipeRow) -> str:
    run = run_of(group, row)
    return f"{public_score(run)}\n{words.interval(row.scores.expected_public)}".lstrip("\n")


def test_accuracy(run: RunRow) -> str:
    """Return a run's accuracy on test rows whose labels are known; "-" for others."""
    return "-" if run.test_accuracy is None else words.share(run.test_accuracy)


def public_score(run: RunRow) -> str:
    """Return a run's public score, with "r" if it was submitted after a reveal; "-" for none."""
    if run.public_score is None:
        return "-"
    return words.share(run.public_score) + " r" * run.after_reveal


def recipe_columns(group: Group) -> list[Column[RecipeRow]]:
    """Return the columns after the recipe's name: those for 80 characters, then more."""
    score = Column("public score\nexpected, 95 %", 18, _public)
    if has_test_labels(group):
        score = Column("test accuracy", 18, lambda group, row: test_accuracy(run_of(group, row)))
    return [
        Column("accuracy +- sd\n95 % interval", 18, _accuracy),
        Column("against the best\n95 % interval", 20, _against_best),
        score,
    ]


MORE_RECIPE_COLUMNS: list[Column[RecipeRow]] = [
    Column(
        "log loss\n95 % interval",
        18,
        lambda _, row: f"{row.scores.log_loss:.5f}\n{words.interval(row.scores.log_loss_interval)}",
    ),
    Column(
        "calibration error\n95 % interval",
        18,
        lambda _, row: (
            f"{words.share(row.scores.calibration_error)}\n"
            f"{words.interval(row.scores.calibration_error_interval)}"
        ),
    ),
    Column(
        "a run's minutes\nepochs",
        15,
        lambda group, row: f"{row.minutes:.1f}\n{run_of(group, row).epochs:,}",
    ),
]
"""The columns of a wider terminal, in this order."""


SORTED: dict[str, Callable[[RecipeRow], str]] = {
    "log_loss": lambda row: f"loss {row.scores.log_loss:.5f}",
    "calibration": lambda row: f"error {words.share(row.scores.calibration_error)}",
    "minutes": lambda row: f"{row.minutes:.1f} minutes",
}
"""What `SORT` sorts by, of what a narrow terminal has no column for."""


def run_columns(group: Group) -> list[Column[RunRow]]:
    """Return the columns after a run's name."""
    score: Column[RunRow] = Column("public", 9, lambda _, run: public_score(run))
    if has_test_labels(group):
        score = Column("test", 9, lambda _, run: test_accuracy(run))
    return [
        Column("accuracy", 9, lambda _, run: accuracy(run.scores)),
        Column("log loss", 8, lambda _, run: f"{run.scores.log_loss:.5f}"),
        Column("epochs", 6, lambda _, run: str(run.epochs)),
        Column("minutes", 7, lambda _, run: f"{run.minutes:.1f}"),
        score,
    ]
