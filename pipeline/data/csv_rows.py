"""Strict reading of small CSV files: each deviation is one error with file, line and column.

Lines are counted as a text editor counts them: the header is line 1, the first row is line 2.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.common.errors import PipelineError

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield `(line, cells)` for each line of a UTF-8 CSV file, header first.

    `line` counts from 1. An empty line has no cells. A byte order mark is ignored.
    Raises PipelineError if the file is missing, unreadable, empty or not text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                yield reader.line_num, cells
            if reader.line_num == 0:
                raise PipelineError(f"{path}: the file is empty; get it again")
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; make it or get it first") from None
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {error.strerror}; it must be a file that you may read"
        ) from None
    except UnicodeDecodeError:
        raise PipelineError(
            f"{path}: is not text; a CSV file in UTF-8 is allowed "
            "(if it is an archive, unpack it; else get it again)"
        ) from None
    except csv.Error as error:
        raise PipelineError(
            f"{path}, line {reader.line_num}: is not CSV ({error}); delete it and get it again"
        ) from None


def read_header(path: Path) -> list[str]:
    """Return the column names of a CSV file. Raises PipelineError as `read_rows` does."""
    for _, cells in read_rows(path):
        return cells
    raise AssertionError("read_rows() raises for a file without lines")


def check_header(path: Path, header: Sequence[str], expected: Sequence[str]) -> None:
    """Raise PipelineError unless the columns in `header` are `expected`, in this order.

    The error names the first column that is repeated, missing, unexpected or misplaced.
    """
    if list(header) != list(expected):
        raise PipelineError(
            f"{path}, line 1: {_header_fault(header, expected)}; needed: {_summary(expected)}, "
            f"found: {_summary(header)}"
        )


def _header_fault(header: Sequence[str], expected: Sequence[str]) -> str:
    for name, count in Counter(header).items():
        if count > 1:
            return f"column {name!r} occurs {count} times"
    for name in expected:
        if name not in header:
            return f"column {name!r} is missing"
    for name in header:
        if name not in expected:
            return f"column {name!r} is not expected"
    number = next(n for n, name in enumerate(header) if name != expected[n])
    return f"column {number + 1} is {header[number]!r} where {expected[number]!r} belongs"


def check_width(path: Path, line: int, cells: Sequence[str], columns: Sequence[str]) -> None:
    """Raise PipelineError unless a line has one cell per column."""
    if not cells:
        raise PipelineError(
            f"{path}, line {line}: is empty; remove the line, or delete the file and get it again"
        )
    if len(cells) != len(columns):
        raise PipelineError(
            f"{path}, line {line}: has {len(cells)} cells, {len(columns)} are needed; "
            "the file may be cut short, get it again"
        )


def whole_number(path: Path, line: int, column: str, cell: str, low: int, high: int) -> int:
    """Return the whole number in `cell`. Raises PipelineError unless it lies in `low..high`."""
    text = cell.strip(" ")
    if not text:
        fault = "is empty"
    elif not _WHOLE_NUMBER.fullmatch(text):
        fault = f"is {cell[:40]!r}, not a whole number"
    elif not low <= int(text) <= high:
        fault = f"is {text}"
    else:
        return int(text)
    raise PipelineError(
        f"{path}, line {line}, column {column!r}: {fault}; a whole number from {low} to {high} is "
        "needed, correct it, or delete the file and get it again"
    )


def _summary(columns: Sequence[str]) -> str:
    """Return up to four column names in full, more as first, second, ..., last."""
    if len(columns) <= 4:
        return ",".join(columns)
    return f"{columns[0]},{columns[1]},...,{columns[-1]} ({len(columns)} columns)"
