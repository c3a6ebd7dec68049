"""The page's tables: one per group, with its verdict, its recipes, and the runs below them."""

from dataclasses import dataclass

from pipeline.evaluation.comparison import cells, verdict, words
from pipeline.evaluation.comparison.model import Comparison, Group, RecipeRow, RunRow
from pipeline.evaluation.report.columns import Cell, Column, columns_of


@dataclass(frozen=True)
class RunLine:
    """A run below its recipe: its row of the comparison and its cells."""

    row: RunRow
    cells: list[Cell]


@dataclass(frozen=True)
class RecipeLine:
    """A recipe: place (from 1), name, seeds, cells and runs.

    `settings` tell it from its namesakes; `all_settings` are found by the filter too.
    """

    place: int
    name: str
    seeds: str
    settings: list[str]
    all_settings: str
    cells: list[Cell]
    runs: list[RunLine]
    selected: bool

    @property
    def full_name(self) -> str:
        """The name with what tells it from its namesakes, on one line."""
        return " ".join([f"{self.name} ({self.seeds})", *self.settings])


@dataclass(frozen=True)
class GroupOnPage:
    """What the page shows of a group."""

    title: str
    verdict: list[str]
    columns: list[Column]
    recipes: list[RecipeLine]


_SELECTED_AT_FIRST = 3  # so many recipes are compared when the page opens


def group_on_page(group: Group, comparison: Comparison) -> GroupOnPage:
    """Return a group with the texts of its table; the first group's best recipes are selected."""
    shown = columns_of(group)
    trained = [row for row in group.recipes if "average" not in row.settings]
    selected = trained[:_SELECTED_AT_FIRST] if group is comparison.groups[0] else []
    return GroupOnPage(
        title=cells.title(group),
        verdict=verdict.lines(group),
        columns=shown,
        recipes=[
            _recipe_line(group, place, row, shown, row in selected)
            for place, row in enumerate(group.recipes, 1)
        ],
    )


def legend(comparison: Comparison) -> dict[str, str]:
    """Return what the columns of all groups mean, by heading."""
    shown = [column for group in comparison.groups for column in columns_of(group)]
    return {column.heading: column.meaning for column in shown}


def _recipe_line(
    group: Group, place: int, row: RecipeRow, shown: list[Column], selected: bool
) -> RecipeLine:
    own = cells.telling_settings(group, row)
    runs = {run.run: run for run in group.runs}
    return RecipeLine(
        place=place,
        name=words.recipe_name(row.recipe),
        seeds=words.seeds(row),
        settings=[words.setting(key, row.settings[key]) for key in own],
        all_settings=" ".join(words.setting(*one) for one in row.settings.items()),
        cells=[column.of_recipe(group, row) for column in shown],
        runs=[
            RunLine(runs[name], [column.of_run(runs[name]) for column in shown])
            for name in row.runs
        ],
        selected=selected,
    )
