"""The two CSV files of the competition on disk: whether they are whole, and a note that they are.

Only the header and the counts of rows and columns are looked at, which takes a fraction of a
second; `digits.py` checks the values when it reads them.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.files import write_text
from pipeline.data.spec import SPEC

_PIXELS = ",".join(f"pixel{number}" for number in range(28 * 28))
_STAMP = ".checked.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Shape:
    """The rows, without the header, and the header line that a file must have."""

    rows: int
    header: str


SHAPES = {
    "train.csv": Shape(SPEC.train_rows, f"label,{_PIXELS}"),
    "test.csv": Shape(SPEC.test_rows, _PIXELS),
}
"""What https://www.kaggle.com/competitions/digit-recognizer/data says of its files."""


def check_csv(path: Path, shape: Shape, name: str) -> None:
    """Raise PipelineError, which calls the file `name`, unless `path` has `shape`."""
    with path.open("rb") as file:
        header = file.readline(2 * len(shape.header)).rstrip(b"\r\n")
        rows, commas = _count(iter(lambda: file.read(_BLOCK), b""))
    if header != shape.header.encode():
        columns = header.count(b",") + 1
        raise PipelineError(
            f"{name}: the first line is not the competition's header ({columns} columns found, "
            f"{shape.header.count(',') + 1} needed, ending in pixel783)"
        )
    if rows != shape.rows:
        raise PipelineError(f"{name}: {rows} rows found, {shape.rows} needed")
    if commas != rows * shape.header.count(","):
        raise PipelineError(
            f"{name}: not every row has {shape.header.count(',') + 1} columns "
            f"({commas} commas found in {rows} rows)"
        )


def _count(blocks: Iterator[bytes]) -> tuple[int, int]:
    """Return the number of lines, the last one with or without a line end, and of commas."""
    lines = commas = 0
    last = b"\n"
    for block in blocks:
        lines += block.count(b"\n")
        commas += block.count(b",")
        last = block[-1:]
    return lines + (last != b"\n"), commas


def is_stamped(folder: Path) -> bool:
    """Whether both files are exactly the ones that `stamp` noted, by size and time of change."""
    try:
        noted = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
        return bool(noted == _state(folder))
    except (OSError, ValueError):
        return False


def stamp(folder: Path) -> None:
    """Note that both files in `folder` were checked, so that the next look is cheap."""
    # In a folder that cannot be written to, the next look is merely slower.
    with suppress(OSError):
        write_text(folder / _STAMP, json.dumps(_state(folder), indent=2) + "\n")


def _state(folder: Path) -> dict[str, dict[str, int]]:
    states = {name: (folder / name).stat() for name in SHAPES}
    return {
        name: {"bytes": state.st_size, "changed_ns": state.st_mtime_ns}
        for name, state in states.items()
    }
