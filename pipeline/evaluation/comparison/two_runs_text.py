"""Two runs in depth, for a terminal."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from pipeline.evaluation.comparison import cells, layout, words
from pipeline.evaluation.comparison.model import RunRow
from pipeline.evaluation.comparison.two_runs import TwoRuns
from pipeline.evaluation.comparison.verdict import SIGNIFICANT

_LABEL = 35
_ROWS_NAMED = 20


def show(result: TwoRuns) -> None:
    """Print two runs: settings that differ, scores side by side, the test, and the rows."""
    layout.show(lambda width: rendered(result, width))


def rendered(result: TwoRuns, width: int) -> list[RenderableType]:
    """Return what `show` prints, for `width` characters per line, 80 or more."""
    column = (width - _LABEL - 2 * layout.GAP) // 2
    widths = [_LABEL, column, column]
    runs = (result.first, result.second)
    parts: list[RenderableType] = [
        layout.line(f"A: {result.first.run}"),
        layout.line(f"B: {result.second.run}"),
        "",
        layout.grid(widths, ["settings that differ", "A", "B"], "bold"),
    ]
    for key, values in result.settings.items():
        texts = [words.setting(key, value).partition("=")[2] for value in values]
        parts.append(layout.grid(widths, [key, *texts]))
    if not result.settings:
        parts.append(Text("none"))
    rows = words.count(result.first.scores.rows, "common row")
    parts += ["", layout.grid(widths, [f"scores on {rows}", "A", "B"], "bold")]
    for label, *texts in _scores(runs):
        parts.append(layout.grid(widths, [label, *texts]))
    return [*parts, "", *map(layout.line, _verdict(result))]


def _scores(runs: Sequence[RunRow]) -> list[list[str]]:
    """Return the lines of the table of scores: a label, then the texts of both runs."""
    scores = [run.scores for run in runs]
    found = [
        ["accuracy", *(cells.accuracy(one) for one in scores)],
        ["  95 % interval", *(words.interval(one.accuracy_interval) for one in scores)],
        ["log loss", *(f"{one.log_loss:.5f}" for one in scores)],
        ["  95 % interval", *(words.interval(one.log_loss_interval) for one in scores)],
        ["calibration error", *(words.share(one.calibration_error) for one in scores)],
        ["  95 % interval", *(words.interval(one.calibration_error_interval) for one in scores)],
        ["expected public score, 95 %", *(words.interval(one.expected_public) for one in scores)],
        ["public score", *(cells.public_score(run) for run in runs)],
        ["test accuracy", *(cells.test_accuracy(run) for run in runs)],
        ["epochs", *(f"{run.epochs:,}" for run in runs)],
        ["minutes", *(f"{run.minutes:.1f}" for run in runs)],
    ]
    left_out = "test accuracy", "expected public score, 95 %", "public score"
    known = any(run.test_accuracy is not None for run in runs)
    hidden = left_out[1:] if known else left_out[:1]
    return [line for line in found if line[0] not in hidden]


def _verdict(result: TwoRuns) -> list[str]:
    """Return the test in words, and the rows that only one of the runs gets right."""
    test = result.test
    sure = test.p_value < SIGNIFICANT
    better = "B is better" if test.difference > 0 else "A is better"
    meaning = f"{better}, by more than chance in these rows" if sure else "not distinguishable"
    return [
        f"B minus A: {words.difference(test.difference)} {words.signed_interval(test.interval)}, "
        f"{words.p_equals(test.p_value)} (exact McNemar test): {meaning}.",
        "The test is about these two trainings, not about their recipes.",
        f"Only A is right: {_rows(result.only_first_right)}",
        f"Only B is right: {_rows(result.only_second_right)}",
    ]


def _rows(numbers: Sequence[int]) -> str:
    """Return how many rows there are, with the first of their numbers."""
    text = words.count(len(numbers), "row")
    if not numbers:
        return text
    named = ", ".join(map(str, numbers[:_ROWS_NAMED]))
    return f"{text} ({named}{', ...' * (len(numbers) > _ROWS_NAMED)})"
