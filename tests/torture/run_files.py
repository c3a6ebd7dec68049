"""Damaged files of a run: it is named, and the good run beside it is listed as before."""

import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from pipeline.cli import app
from tests.bench.commands import write_digits
from tests.commands import command
from tests.torture.edits import EDITS, ODD_VALUES, Edit, edited
from tests.torture.verdict import (
    LeakedError,
    LostError,
    Verdict,
    check_line,
    content,
    examine,
    workspace,
)

GOOD = "quick-s0-good"
COMMANDS = (
    ["runs"],
    ["runs", "--json"],
    ["compare", "--all"],
    ["compare", "--csv"],
    ["compare", "--json"],
    ["report"],
)
ARRAYS = ("validation.npz", "test.npz")
FILES = ("run.json", *ARRAYS, "members/0/history.csv", "checkpoint", "claim.json")
Array = NDArray[Any]
ARRAY_CHANGES: dict[str, Callable[[Array], Array]] = {
    "no rows": lambda array: array[:0],
    "fewer rows": lambda array: array[:-3],
    "one column": lambda array: array.reshape(-1)[: len(array)],
    "more dimensions": lambda array: array[..., None],
    "float64": lambda array: array.astype(float),
    "NaN": lambda array: np.full(array.shape, np.nan),
    "negative": lambda array: -array.astype(float) - 1,
    "huge": lambda array: array.astype(np.int64) + 10**12,
    "reversed": lambda array: array[::-1],
    "twice": lambda array: np.concatenate([array, array]),
    "text": lambda array: array.astype(str),
    "objects": lambda array: array.astype(object),
    "complex": lambda array: array.astype(complex),
    "a number": lambda array: np.array(7),
}


@dataclass(frozen=True)
class Damage:
    """What is done to one file of a run.

    `values` of run.json are replaced: which one (of all, in their order), deleted or not, by what.
    `array` of an npz file is changed, or removed. `edits` change the bytes; `gone` removes the
    file, and `folder` makes a folder of that name.
    """

    file: str
    values: list[tuple[int, bool, Any]]
    array: int
    change: str
    edits: Sequence[Edit]
    gone: bool
    folder: bool

    def apply(self, run: Path) -> None:
        """Damage the run in the folder `run`."""
        path = run / self.file
        if self.file == "checkpoint":
            path = next(run.glob("members/0/checkpoints/*.keras"))
        data = path.read_bytes() if path.exists() else b""
        if self.file == "run.json":
            data = _with_values(data, self.values)
        elif self.file in ARRAYS and self.change:
            data = _with_array(data, self.array, self.change)
        path.unlink(missing_ok=True)
        if self.folder:
            path.mkdir()
        elif not self.gone:
            path.write_bytes(edited(data, self.edits))


def _with_values(record: bytes, values: Sequence[tuple[int, bool, Any]]) -> bytes:
    tree = json.loads(record)
    for number, delete, value in values:
        places = list(_places(tree))
        holder, key = places[number % len(places)]
        if delete:
            del holder[key]
        else:
            holder[key] = value
    return json.dumps(tree).encode()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every value of a JSON tree as its holder and its key there."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _with_array(archive: bytes, number: int, change: str) -> bytes:
    arrays = dict(np.load(io.BytesIO(archive)))
    name = list(arrays)[number % len(arrays)]
    if change == "gone":
        del arrays[name]
    else:
        arrays[name] = ARRAY_CHANGES[change](arrays[name])
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()


DAMAGES = st.builds(
    Damage,
    file=st.sampled_from(["run.json"] * 4 + [*FILES, *ARRAYS]),
    values=st.lists(st.tuples(st.integers(0, 300), st.booleans(), ODD_VALUES), max_size=2),
    array=st.integers(0, 2),
    change=st.sampled_from(["", "gone", *ARRAY_CHANGES]),
    edits=st.just([]) | EDITS,
    gone=st.sampled_from([False] * 9 + [True]),
    folder=st.sampled_from([False] * 19 + [True]),
)


def train(root: Path) -> Path:
    """Train a small run for one epoch, write its submission, and return its folder."""
    write_digits(root / "digits", rows=600, test_rows=200)
    options = ["--recipe", "quick", "--set", "training.epochs=1", "--source", str(root / "digits")]
    with command(root, "submission", *options) as running:
        running.finish()
    (record,) = root.glob("runs/*/run.json")
    return record.parent


def check(root: Path, original: Path) -> Callable[[Damage], None]:
    """Return the check of one damage to a copy of the run `original`, in `root`."""
    good, bad = root / "runs" / GOOD, root / "runs" / original.name
    shutil.copytree(original, good)
    text = (good / "run.json").read_text()
    (good / "run.json").write_text(text.replace(f'"id": "{original.name}"', f'"id": "{GOOD}"'))
    before = content(good)

    def check_one(damage: Damage) -> None:
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(original, bad)
        damage.apply(bad)
        for words in COMMANDS:
            _check_command(words, CliRunner().invoke(app, [*words, "--root", str(root)]))
        page = (root / "runs" / "report.html").read_text(encoding="utf-8")
        if GOOD not in page:
            raise LostError("the report leaves the good run out")
        if page.count("<script") != 3:  # the page's own
            raise LeakedError("a text of the record is markup in the report")
        if content(good) != before:
            raise LostError("the good run has changed")

    return check_one


def _check_command(words: Sequence[str], done: Result) -> None:
    """Raise unless a command lists the good run, in clean lines."""
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    *_, last = done.stderr.splitlines() or [""]
    if done.exit_code:
        check_line(last)
        raise LostError(f"{' '.join(words)} stops at a damaged run: {last}")
    if words[0] != "report" and GOOD not in done.stdout:
        raise LostError(f"{' '.join(words)} leaves the good run out")
    for line in (done.stdout + done.stderr).splitlines():
        if not line.isprintable():
            raise LeakedError(f"control characters in {line[:300]!r}")


def torture(count: int, number: int) -> Verdict:
    """Try `count` damages, drawn with the seed `number`."""
    if not count:
        return Verdict()
    with workspace() as origin, workspace() as root:
        (root / "runs").mkdir()
        return examine(DAMAGES, check(root, train(origin)), count, number)
