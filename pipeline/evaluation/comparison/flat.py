"""The comparison as CSV: one line per run, for scripts and spreadsheets."""

import csv
from dataclasses import asdict
from typing import IO, Any

from pipeline.evaluation.comparison.model import Comparison, Group, RunRow

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so is a formula for a spreadsheet."""


def write_csv(comparison: Comparison, file: IO[str]) -> None:
    """Write the runs of all groups as CSV (RFC 4180) with a heading; empty without runs.

    Columns that begin with "recipe." are about all runs of the recipe; settings that differ have
    the column "recipe.settings." and their key. Both ends of an interval have a column, ".low" and
    ".high". Several values in a cell are separated by blanks. A text that a spreadsheet would take
    for a formula begins with an apostrophe.
    """
    lines = [_line(group, run) for group in comparison.groups for run in group.runs]
    columns = dict.fromkeys(column for line in lines for column in line)
    if lines:
        writer = csv.DictWriter(file, list(columns), restval="")
        writer.writeheader()
        writer.writerows(lines)


def _line(group: Group, run: RunRow) -> dict[str, Any]:
    recipe = asdict(group.recipes[run.recipe_row])
    values = {"source": group.source, "split": group.split, **asdict(run)}
    return _flat({**values, "recipe": run.recipe}) | _flat(
        {f"recipe.{key}": value for key, value in recipe.items() if key != "recipe"}
    )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a tree by their paths, fit for cells."""
    cells: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        match value:
            case dict():
                cells |= _flat(value, f"{name}.")
            case (low, high) if isinstance(value, tuple):
                cells |= {f"{name}.low": low, f"{name}.high": high}
            case list():
                cells[name] = _text(" ".join(map(str, value)))
            case str():
                cells[name] = _text(value)
            case _:
                cells[name] = value
    return cells


def _text(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value
