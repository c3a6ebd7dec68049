"""The columns of the page's tables: the same texts as `make compare` prints, and exact values."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.data.spec import SPEC
from pipeline.evaluation.comparison import cells, words
from pipeline.evaluation.comparison.model import Group, RecipeRow, RunRow, Scores


@dataclass(frozen=True)
class Cell:
    """A cell: its text, a second line, and the exact value to sort by, None for an empty cell."""

    text: str = ""
    detail: str = ""
    value: float | None = None


@dataclass(frozen=True)
class Column:
    """A column: heading, second line of the heading, meaning, and the cells of recipes and runs.

    `best_first` is the order that a first click sorts in, as `aria-sort` calls it.
    """

    heading: str
    detail: str
    meaning: str
    best_first: str
    of_recipe: Callable[[Group, RecipeRow], Cell]
    of_run: Callable[[RunRow], Cell]


def columns_of(group: Group) -> list[Column]:
    """Return the columns of a group's table, after the recipe's name."""
    score = _PUBLIC
    if cells.has_test_labels(group):
        score = _TEST
    return [_ACCURACY, _AGAINST_BEST, _P_VALUE, score, *_revealed(group), *_OTHERS]


def _accuracy(scores: Scores, deviation: float | None) -> Cell:
    spread = "" if deviation is None else f" ± {words.share(deviation)}"
    mark = " *" * scores.one_fold_a_row
    text = f"{words.share(scores.accuracy)}{mark}{spread}"
    return Cell(text, words.interval(scores.accuracy_interval), scores.accuracy)


_ACCURACY = Column(
    "accuracy ± sd",
    "95 % interval",
    "The share of the validation rows that are read correctly. For several seeds: the mean ± the "
    "standard deviation between seeds. The best recipe has the highest.",
    "descending",
    lambda group, row: _accuracy(row.scores, row.deviation),
    lambda run: _accuracy(run.scores, None),
)


def _against_best(group: Group, row: RecipeRow) -> Cell:
    test = row.against_best
    if test is None:
        return Cell("best", "", 0.0)
    interval = words.signed_interval(test.interval)
    return Cell(words.difference(test.difference), interval, test.difference)


_AGAINST_BEST = Column(
    "against the best",
    "95 % interval",
    "The accuracy minus that of the group's best recipe, on the rows that both predict.",
    "descending",
    _against_best,
    lambda run: Cell(),
)


def _p_value(group: Group, row: RecipeRow) -> Cell:
    test = row.against_best
    if test is None:
        return Cell()
    method = "rows and seeds"
    if test.only_this_right is not None:
        method = f"{test.only_this_right}:{test.only_best_right} rows"
    return Cell(words.p_value(test.p_holm), method, test.p_holm)


_P_VALUE = Column(
    "p (Holm)",
    "from",
    "How often equally good recipes would differ this much or more, corrected for the number of "
    "pairs of recipes. Above 0.05, the difference may be chance. The second line says what the "
    "test uses: how many rows only this recipe : only the best gets right, or rows and seeds.",
    "ascending",
    _p_value,
    lambda run: Cell(),
)


def _public(run: RunRow, expected: tuple[float, float]) -> Cell:
    return Cell(cells.public_score(run), words.interval(expected), run.public_score)


_PUBLIC = Column(
    "public score",
    "expected, 95 %",
    f"The share of right answers on the competition's {SPEC.public_rows:,} public rows, once the "
    "run (or the recipe's best run) is submitted; below, where it is expected.",
    "descending",
    lambda group, row: _public(cells.run_of(group, row), row.scores.expected_public),
    lambda run: _public(run, run.scores.expected_public),
)
_TEST = Column(
    "test accuracy",
    "",
    "The share of right answers on MNIST's own test rows, of the run or the recipe's best run.",
    "descending",
    lambda group, row: _test(cells.run_of(group, row)),
    lambda run: _test(run),
)


def _test(run: RunRow) -> Cell:
    return Cell(cells.test_accuracy(run), "", run.test_accuracy)


def _revealed(group: Group) -> list[Column]:
    """Return a column for the private scores, if one of the group has been revealed."""
    if all(run.private_score is None for run in group.runs):
        return []
    return [
        Column(
            "private score",
            "all hidden rows",
            "The share of right answers on the competition's private rows, of runs for which it "
            "has been revealed; below, that on all hidden rows.",
            "descending",
            lambda group, row: _private(cells.run_of(group, row)),
            _private,
        )
    ]


def _private(run: RunRow) -> Cell:
    if run.private_score is None:
        return Cell("-")
    hidden = "" if run.hidden_score is None else words.share(run.hidden_score)
    return Cell(words.share(run.private_score), hidden, run.private_score)


def _log_loss(scores: Scores) -> Cell:
    interval = words.interval(scores.log_loss_interval)
    return Cell(f"{scores.log_loss:.5f}", interval, scores.log_loss)


def _calibration(scores: Scores) -> Cell:
    interval = words.interval(scores.calibration_error_interval)
    return Cell(words.share(scores.calibration_error), interval, scores.calibration_error)


def _minutes(minutes: float, run: RunRow) -> Cell:
    return Cell(f"{minutes:.1f}", words.count(run.epochs, "epoch"), minutes)


_OTHERS = [
    Column(
        "log loss",
        "95 % interval",
        "The mean of -ln(the probability given to the right digit), in nats; lower is better. "
        "Label smoothing makes it larger.",
        "ascending",
        lambda group, row: _log_loss(row.scores),
        lambda run: _log_loss(run.scores),
    ),
    Column(
        "calibration error",
        "95 % interval",
        "How far confidence and accuracy are apart on average, in [0, 1]; lower is better. Label "
        "smoothing makes it larger. Chance alone makes it positive, so it lies near the upper end "
        "of its interval.",
        "ascending",
        lambda group, row: _calibration(row.scores),
        lambda run: _calibration(run.scores),
    ),
    Column(
        "minutes",
        "epochs",
        "The time of training and averaging one run (the mean for several seeds); below, the "
        "epochs of all members of the run (of the recipe's best run).",
        "ascending",
        lambda group, row: _minutes(row.minutes, cells.run_of(group, row)),
        lambda run: _minutes(run.minutes, run),
    ),
    Column(
        "rows (n)",
        "",
        "The number of validation rows that the figures on the left are of.",
        "descending",
        lambda group, row: _rows(row.scores),
        lambda run: _rows(run.scores),
    ),
]


def _rows(scores: Scores) -> Cell:
    return Cell(f"{scores.rows:,}", "", float(scores.rows))
