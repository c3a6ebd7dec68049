"""Strict reading of small CSV files: each deviation is one error with file, line and column.

Lines are counted as a text editor counts them: the header is line 1, the first row is line 2.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from pipeline.common.errors import PipelineError

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield `(line, cells)` for each row of a UTF-8 CSV file with the header `columns`.

    A byte order mark is ignored. Raises PipelineError if the file is missing, unreadable, empty
    or not text, if it has other columns, or if a row has more or fewer cells than columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if header is None:
                raise PipelineError(f"{path}: the file is empty; get it again")
            _check_header(path, header, columns)
            for cells in reader:
                _check_width(path, reader.line_num, cells, columns)
                yield reader.line_num, cells
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


def _check_header(path: Path, header: Sequence[str], expected: Sequence[str]) -> None:
    pairs = zip_longest(header, expected, fillvalue="(none)")
    for number, (name, right_name) in enumerate(pairs, start=1):
        if name != right_name:
            raise PipelineError(
                f"{path}, line 1: column {number} is {name!r} where {right_name!r} belongs; "
                f"needed: {_summary(expected)}, found: {_summary(header)}"
            )


def _check_width(path: Path, line: int, cells: Sequence[str], columns: Sequence[str]) -> None:
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
