"""Strict reading of small CSV files: each deviation is one error with file, line and column.

Lines are counted as a text editor counts them: the header is line 1, the first row is line 2.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.common.errors import PipelineError

UNREADABLE = "it must be a file that you may read"
"""What to do about a file that is there and cannot be read."""

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def read(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield `(line, cells)` of each line of a UTF-8 CSV file, header first.

    `line` counts from 1; an empty line yields no cells. A byte order mark is ignored.
    Raises PipelineError when the file is missing, unreadable, empty or not text.
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
        raise PipelineError(f"{path}: cannot be read: {error.strerror}; {UNREADABLE}") from None
    except UnicodeDecodeError:
        raise PipelineError(
            f"{path}: is not text; a CSV file in UTF-8 is allowed "
            "(if it is an archive, unpack it; else get it again)"
        ) from None
    except csv.Error as error:
        raise PipelineError(
            f"{path}, line {reader.line_num}: is not CSV ({error}); delete it and get it again"
        ) from None


def header(path: Path) -> list[str]:
    """Return the column names of a CSV file. Raises PipelineError as `read` does."""
    for _, cells in read(path):
        return cells
    raise AssertionError("read() raises for a file without lines")


def check_header(path: Path, found: Sequence[str], expected: Sequence[str]) -> None:
    """Raise PipelineError unless the columns `found` are `expected`, in this order.

    The error names the first column that is repeated, missing, too many or misplaced.
    """
    if list(found) == list(expected):
        return
    allowed = _summary(expected)
    for name, count in Counter(found).items():
        if count > 1:
            raise PipelineError(
                f"{path}, line 1: column {name!r} stands {count} times; allowed: {allowed}"
            )
    for name in expected:
        if name not in found:
            raise PipelineError(
                f"{path}, line 1: column {name!r} is missing; needed: {allowed}, found: "
                f"{_summary(found)}"
            )
    for name in found:
        if name not in expected:
            raise PipelineError(
                f"{path}, line 1: column {name!r} is one too many; allowed: {allowed}"
            )
    place, name, wanted = next(
        (place, name, wanted)
        for place, (name, wanted) in enumerate(zip(found, expected, strict=True), start=1)
        if name != wanted
    )
    raise PipelineError(
        f"{path}, line 1: column {place} is {name!r} where {wanted!r} belongs; "
        f"put the columns in the order {allowed}"
    )


def check_width(path: Path, line: int, cells: Sequence[str], columns: Sequence[str]) -> None:
    """Raise PipelineError unless a line has one cell for each of `columns`."""
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
    """Return the whole number in `cell`; raise PipelineError unless it lies in `low..high`."""
    text = cell.strip(" ")
    if not text:
        found = "is empty"
    elif not _WHOLE_NUMBER.fullmatch(text):
        found = f"is {cell[:40]!r}, not a whole number"
    elif not low <= int(text) <= high:
        found = f"is {text}"
    else:
        return int(text)
    raise PipelineError(
        f"{path}, line {line}, column {column!r}: {found}; a whole number from {low} to {high} is "
        "needed, correct it, or delete the file and get it again"
    )


def _summary(columns: Sequence[str]) -> str:
    """Return up to four column names in full, more as first, second, ..., last."""
    if len(columns) <= 4:
        return ",".join(columns)
    return f"{columns[0]},{columns[1]},...,{columns[-1]} ({len(columns)} columns)"
