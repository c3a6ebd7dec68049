"""Damaged train.csv and test.csv: refused in one line, or read as an independent reader does."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from pipeline.data.digits import read_test, read_train
from pipeline.data.spec import SPEC
from tests.torture.edits import EDITS, Edit, edited
from tests.torture.verdict import LostError, Verdict, content, examine, result, workspace

ROWS = 3
CELLS = ["", " ", "255", "256", "-1", "+7", " 7 ", '"7"', "7.0", "0x7", "1e1", "007", "7_0", "True"]
CELLS += [
    "NaN",
    "inf",
    "9" * 30,
    "9" * 5000,
    "\t7",
    "\uff17",
    "=1+1",
    "\x1b[31m",
    "a\x00b",
    '"',
    '""',
    "7\n",
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"]


@dataclass(frozen=True)
class Damage:
    """What is done to a good file.

    `cells` are replaced, by row (0 is the header), column and text. `lines` are dropped, repeated
    or moved to the end, by row. `edits` change the bytes.
    """

    train: bool
    cells: list[tuple[int, int, str]]
    lines: list[tuple[str, int]]
    delimiter: str
    line_end: str
    encoding: str
    edits: list[Edit]

    def apply(self) -> bytes:
        """Return the damaged file."""
        table = _good(self.train)
        for row, column, text in self.cells:
            table[row][column % len(table[row])] = text
        for kind, row in self.lines:
            line = table[row % len(table)]
            if kind == "repeat":
                table.append(list(line))
            elif kind == "blank":
                table.insert(row, [])
            elif kind == "short":
                table[row % len(table)] = line[:-1]
            else:
                table[row % len(table)] = [*line, "7"]
        text = self.line_end.join(self.delimiter.join(line) for line in table) + self.line_end
        return edited(text.encode(self.encoding, errors="replace"), self.edits)


def _good(train: bool) -> list[list[str]]:
    """Return the cells of a good file, header first."""
    columns = SPEC.train_columns if train else SPEC.test_columns
    rows = [[str((row * column) % 256) for column in range(len(columns))] for row in range(ROWS)]
    for row in rows if train else []:
        row[0] = str(len(row[1]))
    return [list(columns), *rows]


def _mostly(usual: str, *others: str) -> st.SearchStrategy[str]:
    return st.sampled_from([usual] * 6 + list(others))


DAMAGES = st.builds(
    Damage,
    train=st.booleans(),
    cells=st.lists(
        st.tuples(
            st.integers(0, ROWS), st.integers(0, 784), st.sampled_from(CELLS) | st.text(max_size=9)
        ),
        max_size=2,
    ),
    lines=st.lists(
        st.tuples(st.sampled_from(["repeat", "blank", "short", "long"]), st.integers(0, ROWS)),
        max_size=1,
    ),
    delimiter=_mostly(",", ";", "\t", " ", ", ", "|"),
    line_end=_mostly("\n", "\r\n", "\r", "\n\n", "\x0b", "\u2028"),
    encoding=_mostly(*ENCODINGS),
    edits=EDITS,
)


def strict(text: bytes, train: bool) -> list[list[int]]:
    """Return the numbers in a good file. Raises ValueError for any other.

    Quotes around a cell, spaces beside a number and a plus sign are allowed.
    """
    lines = re.split("\r\n|\r|\n", text.decode("utf-8-sig"))
    if not lines[-1]:
        lines.pop()
    table = [[cell.strip('"') for cell in line.split(",")] for line in lines]
    if tuple(table[0]) != (SPEC.train_columns if train else SPEC.test_columns):
        raise ValueError("other columns")
    if any(len(row) != len(table[0]) for row in table):
        raise ValueError("another number of cells")
    cells = [[cell.strip(" \t\v\f") for cell in row] for row in table[1:]]
    if not all(re.fullmatch("[+-]?[0-9]+", cell) for row in cells for cell in row):
        raise ValueError("not whole numbers")
    return [[int(cell) for cell in row] for row in cells]


def _read(path: Path, train: bool) -> list[list[int]]:
    """Return the numbers that the pipeline reads. Raises PipelineError."""
    if train:
        digits = read_train(path)
        images, labels = digits.images, [digits.labels]
    else:
        images, labels = read_test(path), []
    numbers: list[list[int]] = np.column_stack([*labels, images.reshape(-1, SPEC.pixels)]).tolist()
    return numbers


def check(folder: Path) -> Callable[[Damage], None]:
    """Return the check of one damaged file, which is written into `folder`."""

    def check_one(damage: Damage) -> None:
        path = folder / ("train.csv" if damage.train else "test.csv")
        path.write_bytes(damage.apply())
        before = content(folder)
        numbers = result(lambda: _read(path, damage.train))
        if content(folder) != before:
            raise LostError("reading changed the folder")
        if numbers is None:
            return
        try:
            expected = strict(path.read_bytes(), damage.train)
        except ValueError as error:
            raise LostError(f"a wrong file was accepted: {error}") from None
        if numbers != expected:
            raise LostError("other numbers were read than are in the file")

    return check_one


def torture(count: int, number: int) -> Verdict:
    """Try `count` damaged files, drawn with the seed `number`."""
    with workspace() as folder:
        return examine(DAMAGES, check(folder), count, number)
