"""From a recipe's name, or its file, and `SET` to checked settings.

An unknown key, a wrong type, a value out of range or a setting without effect is an error that
names the file, the key, the value and what is allowed.
"""

import os
import re
import stat
import tomllib
from pathlib import Path

from pydantic import ValidationError

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.recipe.keys import (
    SETTINGS,
    Settings,
    allowed_numbers,
    flatten,
    nest,
    parse_value,
    refuse_unknown,
    shown,
)
from pipeline.recipe.schema import Recipe
from pipeline.recipe.spelling import closest, recipe_names
from pipeline.recipe.unused import merge, refuse_unused
from pipeline.recipe.words import split_words

RECIPES_FOLDER = Path(__file__).parents[1] / "recipes"

LARGEST_RECIPE = 50_000  # bytes; tomllib takes seconds for the worst file of this size


def names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return recipe_names()


def load(
    name_or_path: str,
    settings: str = "",
    seed: int | None = None,
    varied: Settings | None = None,
    variable: str = "SET",
) -> Recipe:
    """Return the recipe of that name, or of that TOML file, with changes applied and checked.

    `settings` holds dotted changes as `SET` takes them ("training.epochs=3 seed=1"). A value is
    TOML, else a plain string. `key=none` unsets a key of the file, so that its default applies,
    unless "none" is one of the key's values (augmentation.engine). `seed` replaces the recipe's.
    `varied` are changes of a sweep or a search, parsed, which replace those of `settings`, and
    `variable` is what a person gave them with.

    A relative `network.file` starts at the folder of the recipe file, or at the working directory
    where `SET` gives it. The result holds the absolute path.

    Keys of the file that have no effect because of `SET` take their defaults. Raises PipelineError
    for any other key without effect, for an unknown recipe or key, and for a value not allowed.
    """
    path = _find(name_or_path)
    origin = f"{path.name} with SET={shown(settings)}" if settings else path.name
    file_settings = _with_absolute_file(_read(path), path.parent)
    for key, value in (varied or {}).items():
        if value is not None and key != "seed":  # what the person has varied
            origin += f" and {key}={value}"
    changes = _with_absolute_file(_parse_changes(settings) | (varied or {}), Path())
    refuse_unknown(file_settings | changes, origin)
    merged = merge(file_settings, changes)
    if seed is not None:
        if changes.get("seed") not in (None, seed):
            raise PipelineError(
                f"SET gives seed={shown(changes['seed'])}, but SEED is {seed} and replaces it; "
                "leave one of them out"
            )
        merged["seed"] = seed
    try:
        recipe = Recipe.model_validate({"name": path.stem, **nest(merged)})
    except ValidationError as error:
        raise PipelineError(f"recipe {origin}: {_explain(error, varied or {}, variable)}") from None
    refuse_unused(merged, changes, origin)
    file = recipe.network.file
    if file is not None and not (file.endswith(".py") and os.path.isfile(file)):
        raise PipelineError(
            f"recipe {origin}: network.file is {shown(file)}; it must be a Python file (.py) that "
            "exists; mend the path, or leave it out for a network of the package"
        )
    return recipe


def _find(name_or_path: str) -> Path:
    """Return the file of a recipe. One of the package in a folder has its bare name too."""
    packaged = {Path(name).name: name for name in names()} | {name: name for name in names()}
    if name_or_path in packaged:
        return RECIPES_FOLDER / f"{packaged[name_or_path]}.toml"
    path = Path(os.path.expanduser(name_or_path))
    problem = _problem(path)
    if problem == MISSING and (near := closest(name_or_path.removesuffix(".toml"), packaged)):
        problem += f" (did you mean {near}?)"
    elif problem == MISSING and path.suffix == ".toml" and not name_or_path.startswith(("/", "~")):
        problem += f" in {printable(os.getcwd())}"  # make -C runs in another folder
    if problem:
        raise PipelineError(
            f"RECIPE is {shown(name_or_path)}, which is {problem}; use one of "
            f"{', '.join(names())}, or the path of a .toml file"
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]+", path.stem):
        raise PipelineError(
            f"RECIPE is {shown(name_or_path)}, after which runs are named; its file name may hold "
            "only letters, digits, dots, dashes and underscores; rename the file"
        )
    return path


MISSING = "neither a recipe nor a file"


def _problem(path: Path) -> str:
    """Return what a path is that cannot be a recipe's, in words. Empty for a .toml file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return MISSING
    except (OSError, ValueError) as error:  # such as a forbidden folder, or a NUL
        detail = error.strerror if isinstance(error, OSError) else None
        return f"no path that can be read ({printable(detail or error)})"
    if stat.S_ISDIR(mode):
        return "a folder"
    if not stat.S_ISREG(mode):
        return "a pipe or a device"
    return "" if path.suffix == ".toml" else "a file whose name does not end in .toml"


def _read(path: Path) -> Settings:
    name = f"recipe {printable(path, 300)}"
    try:
        tables = tomllib.loads(files.read_bytes(path, LARGEST_RECIPE).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise PipelineError(f"{name}: {_unreadable(error)}; mend the file") from None
    return flatten(tables.items(), name)


def _unreadable(error: Exception) -> str:
    match error:
        case RecursionError():
            return "tables or arrays are nested too deeply"
        case OSError():
            return f"cannot be read: {error.strerror or error}"
        case tomllib.TOMLDecodeError() | UnicodeDecodeError():
            return f"not valid TOML: {printable(error)}"
    return "an integer has thousands of digits"


def _parse_changes(settings: str) -> Settings:
    words = split_words("SET", settings)
    return flatten([(key, parse_value(key, value)) for key, value in words], "SET")


def _with_absolute_file(settings: Settings, folder: Path) -> Settings:
    """Return the settings, with a `network.file` that starts at `folder` where it is relative."""
    file = settings.get("network.file")
    if not isinstance(file, str):
        return settings
    return settings | {"network.file": os.path.abspath(folder / os.path.expanduser(file))}


def _explain(error: ValidationError, varied: Settings, variable: str) -> str:
    """Return pydantic's first complaint in the pipeline's own form, and where to mend it."""
    first = error.errors()[0]
    place = "the file or with SET"
    problem = first["msg"].removeprefix("Value error, ")
    if first["loc"]:
        key = ".".join(map(str, first["loc"]))
        if varied.get(key) is not None:
            place = variable
        of_its_own = first["type"] == "value_error"  # a check of the schema
        together = of_its_own and isinstance(first["input"], dict)
        field = SETTINGS.get(key) if not of_its_own else None
        numbers = allowed_numbers(field) if field else None
        allowed = numbers or problem.removeprefix("Input should be ")
        problem = (
            f"{key}: {problem}"  # settings of one table that do not fit together
            if together
            else f"{key} is {shown(first['input'])}; it must be {allowed}"
        )
    return f"{problem}; change it in {place}"
