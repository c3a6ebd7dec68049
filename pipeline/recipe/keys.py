"""Dotted keys, as "training.epochs": which there are, and their values in a recipe's tables."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic.fields import FieldInfo

from pipeline.recipe.schema import Recipe, Section

Tables = dict[str, Any]
"""Settings as TOML gives them: values and tables by their keys."""


def _settings(section: type[Section], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _settings(kind, f"{prefix}{name}.")
        elif (section, name) != (Recipe, "name"):  # a recipe is named after its file
            yield f"{prefix}{name}", field


SETTINGS = dict(_settings(Recipe))
"""Every setting by its dotted key."""


def lookup(values: Tables, key: str) -> Any:
    """Return the value of a dotted key, None where the tables do not give it."""
    *tables, name = key.split(".")
    for table in tables:
        values = values.get(table, {})
        if not isinstance(values, dict):
            return None
    return values.get(name)


def remove(values: Tables, key: str) -> None:
    """Remove a dotted key from the tables, if they give it."""
    table, _, name = key.rpartition(".")
    holder = lookup(values, table) if table else values
    if isinstance(holder, dict):
        holder.pop(name, None)


def can_be_unset(key: str) -> bool:
    """Return whether "none" unsets a key: it is a setting, and "none" is not one of its values."""
    return key in SETTINGS and "none" not in get_args(SETTINGS[key].annotation)


def allowed_beside(key: str) -> list[str]:
    """Return the names that the table of a dotted key may hold, in the schema's order."""
    prefix = key[: key.rfind(".") + 1]
    names = [known.removeprefix(prefix) for known in SETTINGS if known.startswith(prefix)]
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def closest(key: str) -> str | None:
    """Return the known key most like an unknown one, None if none is like it.

    Only the names after the last dot are compared. A setting in the same table comes first.
    """
    table, _, name = key.rpartition(".")
    candidates = [*SETTINGS, *allowed_beside("")]
    candidates.sort(key=lambda known: known.startswith(f"{table}."))
    by_name = {known.rpartition(".")[2]: known for known in candidates}  # the last one stays
    matches = get_close_matches(name, by_name, n=1, cutoff=0.7)
    return by_name[matches[0]] if matches else None
