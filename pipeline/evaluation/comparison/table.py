"""The comparison for a terminal: recipes with a verdict per group, then explanations."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from pipeline.evaluation.comparison import cells, explanations, layout, verdict, words
from pipeline.evaluation.comparison.model import Comparison, Group, RecipeRow

_NARROWEST_NAME = 14
_WIDEST_NAME = 40


def show(comparison: Comparison, show_all: bool = False, order: str = "") -> None:
    """Print a comparison, sorted as `order` says.

    `show_all` adds every run, and all settings that differ.
    """
    layout.show(lambda width: rendered(comparison, width, show_all, order))


def rendered(
    comparison: Comparison, width: int, show_all: bool, order: str = ""
) -> list[RenderableType]:
    """Return what `show` prints, for `width` characters per line, 80 or more."""
    parts: list[RenderableType] = []
    for group in comparison.groups:
        parts += [Text(cells.title(group), "bold"), "", *_recipes(group, width, show_all, order)]
        if show_all:
            parts += ["", *_runs(group, width)]
        parts += ["", *map(layout.line, verdict.lines(group)), ""]
    return parts + [layout.line(text) for text in explanations.lines(comparison)]


def _recipes(group: Group, width: int, show_all: bool, order: str) -> list[RenderableType]:
    """Return the headings and the recipes, each with its settings below."""
    columns = cells.recipe_columns(group)
    number = _number_width(group)
    name = width - number - layout.GAP - sum(one.width + layout.GAP for one in columns)
    for column in cells.MORE_RECIPE_COLUMNS:
        if name - column.width - layout.GAP < _NARROWEST_NAME:
            break
        columns.append(column)
        name -= column.width + layout.GAP
    widths = [number, min(name, _WIDEST_NAME), *(column.width for column in columns)]
    headings = ["", "recipe\nseeds", *(column.heading for column in columns)]
    parts: list[RenderableType] = [layout.grid(widths, headings, "bold")]
    for place, row in enumerate(group.recipes, 1):
        texts = [column.text(group, row) for column in columns]
        own = [words.recipe_name(row.recipe), cells.seeds(group, row)]
        if order in cells.SORTED:
            own.append(cells.SORTED[order](row))
        parts += _entry(widths, place, own, texts)
        indent = number + layout.GAP
        if settings := _settings(group, row, 10**6 if show_all else width - indent):
            parts.append(layout.line(" " * indent + settings))
    return parts


def _number_width(group: Group) -> int:
    return max(2, len(str(len(group.recipes))))


def _settings(group: Group, row: RecipeRow, room: int) -> str:
    """Return the settings that differ: all that tell a recipe from its namesakes.

    Of the others, which its name stands for, it has as many as `room` characters hold.
    """
    texts = {key: words.setting(key, value) for key, value in row.settings.items()}
    own = cells.telling_settings(group, row)
    others = [key for key in texts if key not in own]
    for shown in range(len(others), -1, -1):
        hidden = len(others) - shown
        chosen = [texts[key] for key in [*own, *others[:shown]]]
        text = " ".join([*chosen, f"({hidden} more: ALL=1)"] if hidden else chosen)
        if len(text) <= room:
            break
    return text


def _runs(group: Group, width: int) -> list[RenderableType]:
    """Return the runs, each with the number of its recipe in the table above."""
    columns, number = cells.run_columns(group), _number_width(group)
    name = width - number - layout.GAP - sum(one.width + layout.GAP for one in columns)
    widths = [number, min(name, _WIDEST_NAME), *(column.width for column in columns)]
    headings = ["", "run", *(column.heading for column in columns)]
    parts: list[RenderableType] = [layout.grid(widths, headings, "bold")]
    for run in group.runs:
        state = "" if run.state == "done" else f" ({run.state})"
        texts = [column.text(group, run) for column in columns]
        parts += _entry(widths, run.recipe_row + 1, [f"{run.run}{state}"], texts)
    return parts


def _entry(
    widths: Sequence[int], place: int, own: Sequence[str], texts: Sequence[str]
) -> list[RenderableType]:
    """Return a row: its place, its name with what stands below that, and the other cells.

    A name that its column cannot hold has a line by itself.
    """
    number, own = f"{place:>{widths[0]}}", [*own]
    parts: list[RenderableType] = []
    if cell_len(own[0]) > widths[1]:
        rest = sum(widths[1:]) + layout.GAP * (len(widths) - 2)
        parts.append(layout.grid([widths[0], rest], [number, own.pop(0)]))
        number = ""
    return [*parts, layout.grid(widths, [number, "\n".join(own), *texts])]
