"""From a recipe's name, or its file, and `SET` to checked settings.

An unknown key, a wrong type or a value out of range is an error that names the file, the key, the
value and what is allowed.
"""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.common.errors import PipelineError
from pipeline.recipe.schema import Recipe

RECIPES_FOLDER = Path(__file__).parents[1] / "recipes"


def names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(
        path.relative_to(RECIPES_FOLDER).with_suffix("").as_posix()
        for path in RECIPES_FOLDER.rglob("*.toml")
    )


def load(name_or_path: str, settings: str = "", seed: int | None = None) -> Recipe:
    """Return the recipe of that name, or of that TOML file, with changes applied and checked.

    `settings` holds dotted changes as `SET` takes them ("training.epochs=3 seed=1"); a value is
    read as TOML, or as a plain string where it is no TOML. `seed` replaces the recipe's own.
    Raises PipelineError for an unknown recipe, key, type or value.
    """
    path = _find(name_or_path)
    values = _parse(path)
    for change in _split_changes(settings):
        _apply(values, change)
    if seed is not None:
        values["seed"] = seed
    origin = f"{path.name} with SET={settings!r}" if settings else path.name
    if "name" in values:
        raise PipelineError(
            f"recipe {origin}: unknown key name; a recipe is named after its file; "
            f"allowed here: {', '.join(_allowed([]))}"
        )
    values["name"] = path.stem
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise PipelineError(f"recipe {origin}: {_explain(error)}") from None


def _find(name_or_path: str) -> Path:
    # A recipe in a folder can be called by its bare name too.
    shipped = {Path(name).name: name for name in names()} | {name: name for name in names()}
    path = (
        RECIPES_FOLDER / f"{shipped[name_or_path]}.toml"
        if name_or_path in shipped
        else Path(name_or_path).expanduser()
    )
    if path.suffix != ".toml" or not path.is_file():
        raise PipelineError(
            f"RECIPE is {name_or_path!r}, which is neither a recipe nor a file; use one of "
            f"{', '.join(names())}, or the path of a .toml file"
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]+", path.stem):
        raise PipelineError(
            f"RECIPE is {name_or_path!r}; runs are named after it, so its file name must be of "
            "letters, digits, dots, dashes and underscores; rename the file"
        )
    return path


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"recipe {path}: not valid TOML: {error}; mend the file") from None


def _split_changes(settings: str) -> list[tuple[list[str], str]]:
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
        changes.append((key.split("."), value))
    return changes


def _apply(values: dict[str, Any], change: tuple[list[str], str]) -> None:
    (*tables, key), text = change
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise PipelineError(
                f"SET names {'.'.join([*tables, key])!r}, but {table} is a value and has no keys; "
                "use the dotted key of a setting"
            )
    try:
        values[key] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[key] = text


def _explain(error: ValidationError) -> str:
    """Tell pydantic's first complaint in the pipeline's own form."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    if not location:  # settings that do not fit together
        return f"{first['msg']}; change it in the file or with SET"
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}; allowed here: {', '.join(_allowed(location[:-1]))}"
    allowed = first["msg"].removeprefix("Input should be ")
    return f"{key} is {first['input']!r}; it must be {allowed}; change it in the file or with SET"


def _allowed(tables: list[str]) -> list[str]:
    section: type[BaseModel] = Recipe
    for table in tables:
        annotation = section.model_fields[table].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        section = annotation
    return [name for name in section.model_fields if (section, name) != (Recipe, "name")]
