"""The settings of a recipe by dotted key, as "training.epochs", and the errors for other keys."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic.fields import FieldInfo

from pipeline.common.errors import PipelineError
from pipeline.recipe.schema import Recipe, Section

Settings = dict[str, Any]
"""Values by dotted key. None, which TOML does not have, unsets a key."""

TABLES = {
    name: type(field.default).model_fields
    for name, field in Recipe.model_fields.items()
    if isinstance(field.default, Section)
}
"""The settings of each table, by the names of both."""

SETTINGS: dict[str, FieldInfo] = {
    "seed": Recipe.model_fields["seed"],
    **{f"{table}.{name}": field for table in TABLES for name, field in TABLES[table].items()},
}
"""Every setting by its dotted key."""


def flatten(entries: Iterable[tuple[str, Any]], origin: str) -> Settings:
    """Return entries of a recipe, each with a dotted key or a whole table, by dotted key.

    `origin` names the file or `SET`. Raises PipelineError for a key that is given twice.
    """
    settings: Settings = {}
    for key, value in entries:
        is_table = key in TABLES and isinstance(value, dict)
        given = {f"{key}.{name}": value[name] for name in value} if is_table else {key: value}
        for twice in settings.keys() & given:
            raise PipelineError(f"{origin} gives {twice} twice; leave one of them out")
        settings |= given
    return settings


def nest(settings: Settings) -> dict[str, Any]:
    """Return settings as the tables of a recipe file, the reverse of `flatten`."""
    tables: dict[str, Any] = {}
    for key, value in settings.items():
        table, _, name = key.rpartition(".")
        holder = tables.setdefault(table, {}) if table else tables
        holder[name] = value
    return tables


def refuse_unknown(settings: Settings, origin: str) -> None:
    """Raise PipelineError for the first key that is no setting. `origin` names the recipe."""
    for key, value in settings.items():
        if key not in SETTINGS:
            raise PipelineError(f"recipe {origin}: {_explain_unknown(key, value)}")


def _explain_unknown(key: str, value: object) -> str:
    if key in TABLES:
        settings = ", ".join(TABLES[key])
        return f"{key} is {value!r}; it must be a table of settings: {settings}; use a dotted key"
    table, *names = key.split(".")
    if table in TABLES:
        unknown, siblings = f"{table}.{names[0]}", list(TABLES[table])
    else:
        unknown, siblings = table, ["seed", *TABLES]
    if unknown in SETTINGS:
        return f"unknown key {key}; {unknown} is a value and has no keys; set {unknown}"
    suggestion = _closest(unknown)
    hint = f" (did you mean {suggestion}?)" if suggestion else ""
    if unknown == "name":
        hint = "; a recipe is named after its file"
    return f"unknown key {unknown}{hint}; allowed here: {', '.join(siblings)}"


def _closest(key: str) -> str | None:
    """Return the known key most like an unknown one, None if none is like it.

    Only the names after the last dot are compared. A setting in the same table comes first.
    """
    table, _, name = key.rpartition(".")
    candidates = sorted([*SETTINGS, *TABLES], key=lambda known: known.startswith(f"{table}."))
    by_name = {known.rpartition(".")[2]: known for known in candidates}  # the last one stays
    matches = get_close_matches(name, by_name, n=1, cutoff=0.7)
    return by_name[matches[0]] if matches else None
