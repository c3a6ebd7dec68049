"""The name that a person may have meant.

The Makefile runs this file by its path before anything is installed: it needs only Python itself.
"""

import ast
import os
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

_KAGGLES = "KAGGLE_"
_PACKAGE = Path(__file__).parents[1]
_SCHEMA = Path(__file__).with_name("schema.py")
_WORDS = {
    "EXECUTOR": ("executors/plan.py", "EXECUTORS"),
    "VIEW": ("stages/look.py", "VIEWS"),
    "PART": ("stages/look.py", "PARTS"),
    "SORT": ("evaluation/comparison/order.py", "_KEYS"),
}
"""Where the words stand that a variable may be: the module, and the name of its dict or tuple."""


def closest(word: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """Return the known name most like `word`, in any case, else the first of which it is a part.

    Parts are separated by underscores. Returns None if no name is like it. `cutoff` is the least
    likeness, 0 to 1, as in `difflib.get_close_matches`.
    """
    names = {name.lower(): name for name in known}
    word = word.lower()
    matches = get_close_matches(word, names, n=1, cutoff=cutoff)
    matches += [name for name in names if word in name.split("_")]
    return names[matches[0]] if matches else None


def keys_of_tables() -> list[str]:
    """Return the dotted keys of a recipe's tables, read from the text of schema.py."""
    classes = [one for one in ast.parse(_SCHEMA.read_text()).body if isinstance(one, ast.ClassDef)]
    fields = {
        one.name: [
            (ast.unparse(field.target), ast.unparse(field.annotation))
            for field in one.body
            if isinstance(field, ast.AnnAssign)
        ]
        for one in classes
    }
    tables = [(table, fields.get(kind, [])) for table, kind in fields["Recipe"]]
    return [f"{table}.{name}" for table, names in tables for name, _ in names]


def explain_variable(name: str, variables: Sequence[str]) -> str:
    """Return what to say of a variable of make that none of its targets takes."""
    keys = keys_of_tables()
    near = closest(
        name.rpartition(".")[2],
        [*(key.rpartition(".")[2] for key in keys), *variables],  # SEED comes after split.seed
        cutoff=0.6,
    )
    if name.startswith(_KAGGLES) and not closest(name.removeprefix(_KAGGLES), ["IMAGE"]):
        near = None  # the kaggle command has variables of its own, as KAGGLE_KEY
    settings = [f'SET="{key}=..."' for key in keys if key.endswith(f".{near}")]
    if near in variables:
        hint = f"did you mean {near}?"
    elif settings:
        hint = f"keys of a recipe go into SET: {' or '.join(settings)}"
    else:
        hint = f"the variables are {' '.join(variables)}; those of other programs go before make"
    return f"no target takes the variable {name}; {hint}"


def explain_target(name: str, targets: Sequence[str]) -> str:
    """Return what to say of a word that is no target of make."""
    near = closest(name, targets, cutoff=0.6)
    return f"no target {name}; {f'did you mean {near}?' if near else 'make help lists them'}"


def explain_value(variable: str, value: str) -> str:
    """Return what to say of a variable's value that is none of its words, "" of any other value."""
    if variable == "RECIPE":
        known, kind = recipe_names(), "neither a recipe nor a file"
        is_known = Path(os.path.expanduser(value)).exists()
    else:
        known, kind, is_known = known_words(variable), "unknown", False
    bare = [name.rpartition("/")[2] for name in known]
    if is_known or value in (*known, *bare):
        return ""
    hint = suggestion(value.removesuffix(".toml"), [*bare, *known])
    path = ", or the path of a .toml file" * (variable == "RECIPE")
    return f"{variable} is {value!r}, which is {kind}{hint}; use one of {', '.join(known)}{path}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" for a word that is like a known one, else ""."""
    near = closest(word, known)
    return f" (did you mean {near}?)" if near else ""


def recipe_names() -> list[str]:
    """Return the names of the package's recipes, sorted."""
    folder = _PACKAGE / "recipes"
    paths = folder.rglob("*.toml")
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in paths)


def known_words(variable: str) -> list[str]:
    """Return the words that a variable of `_WORDS` may be, read from the text of its module."""
    file, name = _WORDS[variable]
    for node in ast.parse((_PACKAGE / file).read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Dict(keys=items)):
                pass
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.Dict(keys=items)):
                pass
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Tuple(elts=items)):
                pass
            case _:
                continue
        if found == name:
            return [str(item.value) for item in items if isinstance(item, ast.Constant)]
    raise LookupError(f"{file} has no {name}")


def main(kind: str, *words: str) -> None:
    """Print what is wrong with a variable's name or a target, which those that exist follow.

    Of values, as NAME=value, print what is wrong with the first that is not right.
    """
    if kind == "variable":
        print(f"error: {explain_variable(words[0], words[1:])}")
    elif kind == "target":
        print(f"error: {explain_target(words[0], words[1:])}")
    else:
        pairs = [word.partition("=") for word in words]
        print(next(filter(None, (explain_value(name, value) for name, _, value in pairs)), ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
