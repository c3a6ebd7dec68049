"""The settings of a recipe by dotted key, as "training.epochs", and the errors for other keys."""

import tomllib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic.fields import FieldInfo

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.recipe.schema import Recipe, Section
from pipeline.recipe.spelling import closest

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
            raise PipelineError(f"{origin} gives {printable(twice)} twice; leave one of them out")
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


def parse_value(key: str, text: str) -> Any:
    """Return a value as `SET` and `WHERE` hold it: TOML, else a plain string.

    "none" is None, unless it is one of the setting's values.
    """
    if text == "none" and key in SETTINGS and "none" not in get_args(SETTINGS[key].annotation):
        return None
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, or more than Python reads
        return text
    return parsed["value"] if len(parsed) == 1 else text  # a second line may hold another key


def shown(value: object) -> str:
    """Return a value that a person gave, as Python writes it, fit for a message."""
    try:
        return printable(repr(value))
    except RecursionError:
        return "nested too deeply to be shown"
    except ValueError:  # Python does not turn long numbers into decimal digits
        return "a number of thousands of digits"


def allowed_numbers(field: FieldInfo) -> str | None:
    """Return the range of a setting in words, None if it is not a number."""
    kinds = {int: "a whole number", float: "a number"}
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    for kind in (field.annotation, *get_args(field.annotation)):
        if kind in kinds:
            bounds = [
                f"{word} {getattr(limit, name):,}"
                for name, word in words.items()
                for limit in field.metadata
                if hasattr(limit, name)
            ]
            return f"{kinds[kind]}, {' and '.join(bounds)}"
    return None


def refuse_unknown(settings: Settings, origin: str) -> None:
    """Raise PipelineError for the first key that is no setting. `origin` names the recipe."""
    for key, value in settings.items():
        if key not in SETTINGS:
            raise PipelineError(f"recipe {origin}: {_explain_unknown(key, value)}")


def refuse_unknown_word(key: str, variable: str) -> None:
    """Raise PipelineError if a key in the text of a variable such as `SWEEP` is no setting."""
    if key not in SETTINGS:
        near = closest_setting(key)
        hint = f"did you mean {near}?" if near else "docs/recipes.md lists the keys"
        raise PipelineError(f"{variable} gives the unknown key {shown(key)}; {hint}")


def _explain_unknown(key: str, value: object) -> str:
    if key in TABLES:
        settings = ", ".join(TABLES[key])
        return f"{key} is {shown(value)}; it must be a table of settings: {settings}"
    table, *names = key.split(".")
    if table in TABLES:
        unknown, siblings = f"{table}.{names[0]}", list(TABLES[table])
    else:
        unknown, siblings = table, ["seed", *TABLES]
    if unknown in SETTINGS:
        return f"unknown key {printable(key)}; {unknown} is a value and has no keys; set {unknown}"
    suggestion = closest_setting(unknown)
    hint = f" (did you mean {suggestion}?)" if suggestion else ""
    if unknown == "name":
        hint = "; a recipe is named after its file"
    return f"unknown key {printable(unknown)}{hint}; allowed here: {', '.join(siblings)}"


def closest_setting(key: str) -> str | None:
    """Return the known key most like an unknown one, None if none is like it.

    Only the names after the last dot are compared. A setting in the same table comes first.
    """
    table, _, name = key.rpartition(".")
    sibling = closest(name, TABLES.get(table, ()))
    if sibling:
        return f"{table}.{sibling}"
    by_name = {known.rpartition(".")[2]: known for known in reversed([*TABLES, *SETTINGS])}
    near = closest(name, by_name)
    return by_name[near] if near else None
