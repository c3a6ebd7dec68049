"""Random recipe files and values of SET: a recipe that survives its record, or one line."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from hypothesis import strategies as st

from pipeline.recipe import Recipe, load
from pipeline.recipe.keys import SETTINGS, TABLES
from tests.torture.edits import EDITS, ODD_VALUES, Edit, edited
from tests.torture.verdict import LostError, Verdict, examine, result, workspace

WORDS = sorted(
    {
        word
        for field in SETTINGS.values()
        for word in get_args(field.annotation)
        if isinstance(word, str)
    }
)
DEFAULTS = [field.default for field in SETTINGS.values() if field.default is not None]
KEYS = [*SETTINGS, *TABLES, "name", "training", "training.epoch", "", "a.b.c.d", "x" * 5000]
RAW = [
    "[" * 5000,
    "{a=" * 3000,
    "9" * 5000,
    "0x" + "f" * 5000,
    "1e999",
    "nan",
    "-inf",
    "2026-01-01",
]
RAW += ['"\\u0000"', "'''", '"\x1b"', "~nouser/x.py", "/dev/zero", "/", "[]", "{}", "none", "\\"]


def toml(value: Any) -> str:
    """Return a value as TOML, as far as TOML has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)


VALUES = st.one_of(
    st.sampled_from([toml(value) for value in [*DEFAULTS, *WORDS]]),
    st.sampled_from([toml(value) for value in [*DEFAULTS, *WORDS]]),
    st.integers(-2, 100).map(str),
    st.floats(0, 1).map(repr),
    ODD_VALUES.map(toml),
    st.sampled_from(RAW),
    st.text(max_size=9),
)
ENTRIES = st.lists(
    st.tuples(st.sampled_from([*SETTINGS, *SETTINGS, *KEYS]) | st.text(max_size=5), VALUES),
    max_size=4,
)


@dataclass(frozen=True)
class Asked:
    """What a person gives: entries of a recipe file, of `SET`, noise in each, and `SEED`."""

    name: str
    file: list[tuple[str, str]]
    noise: Sequence[Edit]
    changes: list[tuple[str, str]]
    quoted: bool
    words: str
    seed: int | None

    def load(self, folder: Path) -> Recipe:
        """Return the recipe; its file is written into `folder`. Raises PipelineError."""
        name = self.name
        if name.endswith(".toml"):
            text = "".join(f"{key} = {value}\n" for key, value in self.file)
            (folder / "random.toml").write_bytes(
                edited(text.encode("utf-8", "surrogatepass"), self.noise)
            )
            name = str(folder / name)
        quote: Callable[[str], str] = shlex.quote if self.quoted else str
        changes = " ".join(quote(f"{key}={value}") for key, value in self.changes)
        return load(name, f"{changes}{self.words}", self.seed)


NAMES = ["random.toml"] * 5 + ["quick", "fast", "champion", "bn_cnn", "mlp_50"]
ODD_NAMES = [
    "",
    ".",
    "..",
    "/",
    "~",
    "~nouser/x.toml",
    "a\0.toml",
    "x" * 5000 + ".toml",
    "README.md",
]
ASKED = st.builds(
    Asked,
    name=st.sampled_from(NAMES * 3 + ODD_NAMES) | st.sampled_from(NAMES),
    file=ENTRIES,
    noise=st.just([]) | EDITS,
    changes=st.just([]) | ENTRIES,
    quoted=st.sampled_from([True, True, True, False]),
    words=st.sampled_from(["", "", "", " ", " '", " a", " =", " training={}", " \x1b[2J=1"]),
    seed=st.none() | st.integers(0, 2**32 - 1),
)


def check(folder: Path) -> Callable[[Asked], None]:
    """Return the check of one request for a recipe."""

    def check_one(asked: Asked) -> None:
        recipe = result(lambda: asked.load(folder))
        if recipe is None:
            return
        if Recipe.model_validate_json(recipe.model_dump_json()) != recipe:
            raise LostError("the record of a run would hold another recipe")
        if asked.seed is not None and recipe.seed != asked.seed:
            raise LostError(f"SEED is {asked.seed}, the recipe has {recipe.seed}")

    return check_one


def torture(count: int, number: int) -> Verdict:
    """Try `count` requests, drawn with the seed `number`."""
    with workspace() as folder:
        return examine(ASKED, check(folder), count, number)
