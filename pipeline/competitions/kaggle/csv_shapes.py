"""The two CSV files of the competition on disk: whether they are complete, and a stamp for that.

Only the header and the counts of rows and columns are checked here, which takes a fraction of a
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

_STAMP = ".checked.json"
_BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Shape:
    """What a file must have: the number of rows, without the header, and the columns."""

    rows: int
    columns: tuple[str, ...]


SHAPES = {
    SPEC.train_file: Shape(SPEC.train_rows, SPEC.train_columns),
    SPEC.test_file: Shape(SPEC.test_rows, SPEC.test_columns),
}
"""The shape of each data file, by its name."""


def check_csv(path: Path, shape: Shape, name: str) -> None:
    """Raise PipelineError, which calls the file `name`, unless `path` has `shape`."""
    expected, width = ",".join(shape.columns).encode(), len(shape.columns)
    with path.open("rb") as file:
        header = file.readline(2 * len(expected)).rstrip(b"\r\n")
        rows, commas = _count(iter(lambda: file.read(_BLOCK), b""))
    if header != expected:
        columns = header.count(b",") + 1
        raise PipelineError(
            f"{name}: the first line is not the competition's header ({columns} columns found, "
            f"{width} needed, ending in {shape.columns[-1]})"
        )
    if rows != shape.rows:
        raise PipelineError(f"{name}: {rows} rows found, {shape.rows} needed")
    if commas != rows * (width - 1):
        raise PipelineError(
            f"{name}: not every row has {width} columns ({commas} commas found in {rows} rows)"
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
    """Return whether both files are as `stamp` recorded them, by size and time of change."""
    try:
        recorded = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
        return bool(recorded == _state(folder))
    except (OSError, ValueError):
        return False


def stamp(folder: Path) -> None:
    """Record that both files in `folder` were checked, so that the next check is cheap."""
    # In a folder that cannot be written to, the next check is merely slower.
    with suppress(OSError):
        write_text(folder / _STAMP, json.dumps(_state(folder), indent=2) + "\n")


def _state(folder: Path) -> dict[str, dict[str, int]]:
    states = {name: (folder / name).stat() for name in SHAPES}
    return {
        name: {"bytes": state.st_size, "changed_ns": state.st_mtime_ns}
        for name, state in states.items()
    }
