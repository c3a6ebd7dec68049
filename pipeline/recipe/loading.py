"""From a recipe's name, or its file, and `SET` to checked settings.

An unknown key, a wrong type, a value out of range or a setting without effect is an error that
names the file, the key, the value and what is allowed.
"""

import copy
import os
import re
import shlex
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.common.errors import PipelineError
from pipeline.recipe.keys import Tables, allowed_beside, can_be_unset, closest, lookup, remove
from pipeline.recipe.schema import Recipe
from pipeline.recipe.unused import drop_inherited, refuse_unused

RECIPES_FOLDER = Path(__file__).parents[1] / "recipes"


def names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(
        path.relative_to(RECIPES_FOLDER).with_suffix("").as_posix()
        for path in RECIPES_FOLDER.rglob("*.toml")
    )


def load(name_or_path: str, settings: str = "", seed: int | None = None) -> Recipe:
    """Return the recipe of that name, or of that TOML file, with changes applied and checked.

    `settings` holds dotted changes as `SET` takes them ("training.epochs=3 seed=1"). A value is
    read as TOML, or as a plain string where it is not TOML. `key=none` unsets a key of the file, so
    that its default applies ("network.dropout=none"). Where "none" is one of the key's values, as
    of augmentation.engine, the key gets that value. `seed` replaces the recipe's own.

    A relative `network.file` starts at the folder of the recipe file, or at the working directory
    where `SET` gives it. The result holds the absolute path.

    Keys of the file that have no effect because of `SET` take their defaults. Raises PipelineError
    for any other key without effect (pipeline/recipe/unused.py), for an unknown recipe or key, and
    for a value that is not allowed.
    """
    path = _find(name_or_path)
    origin = f"{path.name} with SET={settings!r}" if settings else path.name
    file_values = _parse(path)
    set_values, unset_keys = _parse_changes(settings)
    _make_absolute(file_values, path.parent)
    _make_absolute(set_values, Path())
    values = _merge(copy.deepcopy(file_values), set_values)
    for key in unset_keys:
        remove(values, key)
    drop_inherited(values, file_values, set_values)
    if seed is not None:
        values["seed"] = _replace_seed(set_values, seed)
    recipe = _validate(values, path.stem, origin)
    refuse_unused(values, set_values, origin)
    _check_network_file(recipe.network.file, origin)
    return recipe


def _find(name_or_path: str) -> Path:
    """Return the file of a recipe. One of the package in a folder has its bare name too."""
    packaged = {Path(name).name: name for name in names()} | {name: name for name in names()}
    path = (
        RECIPES_FOLDER / f"{packaged[name_or_path]}.toml"
        if name_or_path in packaged
        else Path(os.path.expanduser(name_or_path))
    )
    if path.suffix != ".toml" or not path.is_file():
        raise PipelineError(
            f"RECIPE is {name_or_path!r}, which is neither a recipe nor a file; use one of "
            f"{', '.join(names())}, or the path of a .toml file"
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]+", path.stem):
        raise PipelineError(
            f"RECIPE is {name_or_path!r}, after which runs are named; its file name may hold only "
            "letters, digits, dots, dashes and underscores; rename the file"
        )
    return path


def _parse(path: Path) -> Tables:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"recipe {path}: not valid TOML: {error}; mend the file") from None


def _parse_changes(settings: str) -> tuple[Tables, list[str]]:
    """Return the values that `SET` gives, and the keys that it unsets."""
    values: Tables = {}
    unset_keys = []
    for key, text in _split_changes(settings):
        if text == "none" and can_be_unset(key):
            unset_keys.append(key)
            continue
        *tables, name = key.split(".")
        table = values
        for part in tables:
            table = table.setdefault(part, {})
        table[name] = _parse_value(text)
    return values, unset_keys


def _split_changes(settings: str) -> list[tuple[str, str]]:
    """Return the keys and values in `SET`. Raises PipelineError where one replaces another."""
    try:
        words = shlex.split(settings)
    except ValueError as error:
        raise PipelineError(f'SET is {settings!r}: {error}; write SET="key=value ..."') from None
    changes = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise PipelineError(
                f'SET holds {word!r}; each word must be key=value, as in SET="training.epochs=3"'
            )
        changes.append((key, value))
    for first, second in combinations(changes, 2):
        if f"{first[0]}.".startswith(f"{second[0]}.") or f"{second[0]}.".startswith(f"{first[0]}."):
            raise PipelineError(
                f"SET gives {'='.join(first)} and {'='.join(second)}, of which only one can apply; "
                "leave the other out"
            )
    return changes


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(values: Tables, changes: Tables) -> Tables:
    """Change and return `values`, table by table."""
    for name, value in changes.items():
        if isinstance(value, dict) and name in values:
            if not isinstance(values[name], dict):
                raise PipelineError(
                    f"SET names {name}.{next(iter(value), '')}, but {name} is a value and has no "
                    "keys; use the dotted key of a setting"
                )
            _merge(values[name], value)
        else:
            values[name] = value
    return values


def _make_absolute(values: Tables, folder: Path) -> None:
    """Let a relative `network.file` start at `folder`."""
    file = lookup(values, "network.file")
    if isinstance(file, str):
        values["network"]["file"] = os.path.abspath(folder / os.path.expanduser(file))


def _replace_seed(set_values: Tables, seed: int) -> int:
    if set_values.get("seed", seed) != seed:
        raise PipelineError(
            f"SET gives seed={set_values['seed']}, but SEED is {seed} and replaces it; leave one "
            "of them out"
        )
    return seed


def _validate(values: Tables, name: str, origin: str) -> Recipe:
    if "name" in values:
        raise PipelineError(
            f"recipe {origin}: unknown key name; a recipe is named after its file; "
            f"allowed here: {', '.join(allowed_beside('name'))}"
        )
    try:
        return Recipe.model_validate({"name": name, **values})
    except ValidationError as error:
        raise PipelineError(f"recipe {origin}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    """Return pydantic's first complaint in the pipeline's own form."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:  # settings that do not fit together
        return f"{message}; change it in the file or with SET"
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        suggestion = closest(key)
        hint = f" (did you mean {suggestion}?)" if suggestion else ""
        return f"unknown key {key}{hint}; allowed here: {', '.join(allowed_beside(key))}"
    allowed = message.removeprefix("Input should be ")
    if first["type"] == "model_type":
        allowed = f"a table of settings: {', '.join(allowed_beside(f'{key}.'))}"
    return f"{key} is {first['input']!r}; it must be {allowed}; change it in the file or with SET"


def _check_network_file(file: str | None, origin: str) -> None:
    if file is not None and not (file.endswith(".py") and Path(file).is_file()):
        raise PipelineError(
            f"recipe {origin}: network.file is {file!r}; it must be a Python file (.py) that "
            "exists; mend the path, or leave it out for a network of the package"
        )
