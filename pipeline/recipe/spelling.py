"""The name that a person may have meant.

The Makefile runs this file by its path before anything is installed: it needs only Python itself.
"""

import ast
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

_KAGGLES = "KAGGLE_"
_SCHEMA = Path(__file__).with_name("schema.py")


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


if __name__ == "__main__":
    print(f"error: {explain_variable(sys.argv[1], sys.argv[2:])}")
