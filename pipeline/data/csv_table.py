"""Strict reading of CSV files of whole numbers: the first deviation is one error with its place.

Lines are counted as a text editor counts them: the header is line 1, the first row is line 2.
"""

import codecs
import csv
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable

# Rows parsed at a time. pandas parses into int64, so 2,000 rows of 785 columns take 13 MB before
# they shrink.
_CHUNK_ROWS = 2_000

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def read_table(path: Path, highest: Mapping[str, int], rows: int | None) -> NDArray[Any]:
    """Read a CSV file in UTF-8 into whole numbers [rows, columns], in the file's order.

    `highest` maps each column, in the file's order, to the largest number allowed in it; the
    smallest is 0. The array has the smallest unsigned type for these. `rows` is the number of rows
    that the file must have; None allows any but 0. A byte order mark is ignored. Raises
    PipelineError with the file, line and column of the first deviation.
    """
    try:
        _check_lines(path, highest)
        table = _parse(path, highest)
    except (OSError, ValueError) as error:
        # Only a faulty file comes here, so the search may be slow.
        _raise_first_deviation(path, highest)
        raise PipelineError(
            f"{path}: cannot be read as numbers ({str(error).strip()}); delete it and get it again"
        ) from error
    if not len(table):
        raise PipelineError(f"{path}: has a header but no rows; delete it and get it again")
    if rows is not None and len(table) != rows:
        raise PipelineError(
            f"{path}: has {len(table):,} rows; {rows:,} are needed, make it or get it again"
        )
    return table


def _check_lines(path: Path, highest: Mapping[str, int]) -> None:
    """Raise PipelineError if a line is many times longer than it can be: pandas needs its memory.

    Of a line, a block without a line break is noticed, so that it may have up to two blocks.
    """
    block_size = 1_000 + 24 * sum(len(name) for name in highest)
    with path.open("rb") as file:
        line = 1
        while block := file.read(block_size):
            if len(block) == block_size and not re.search(rb"[\r\n]", block):
                raise PipelineError(
                    f"{path}, line {line}: is longer than {block_size:,} bytes; {len(highest)} "
                    "cells per line are needed, delete the file and get it again"
                )
            line += block.count(b"\n")


def _parse(path: Path, highest: Mapping[str, int]) -> NDArray[Any]:
    """Parse the whole file with pandas. Raises ValueError if anything in it deviates.

    pandas infers the type of each column on purpose: told to read uint8, it wraps 300 to 44.
    """
    limits = np.array(list(highest.values()))
    kind = np.min_scalar_type(limits.max())
    chunks = [np.empty((0, len(limits)), dtype=kind)]
    with pd.read_csv(
        path,
        chunksize=_CHUNK_ROWS,
        encoding="utf-8-sig",
        skip_blank_lines=False,
        low_memory=False,
    ) as reader:
        for frame in reader:
            if list(frame.columns) != list(highest):
                raise ValueError("other columns")
            if not isinstance(frame.index, pd.RangeIndex):
                # pandas takes surplus cells at the start of each line for row names.
                raise ValueError("more cells than columns")
            if len(frame) and (frame.dtypes != np.int64).any():
                raise ValueError("a cell is not a whole number")
            cells = frame.to_numpy()
            if (cells < 0).any() or (cells > limits).any():
                raise ValueError("a number is out of range")
            chunks.append(cells.astype(kind))
    return np.concatenate(chunks)


def _raise_first_deviation(path: Path, highest: Mapping[str, int]) -> None:
    """Raise PipelineError for the first line or cell that does not belong in the file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if header is None:
                raise PipelineError(f"{path}: the file is empty; get it again")
            _check_header(path, header, list(highest))
            for cells in reader:
                _check_row(f"{path}, line {reader.line_num}", cells, highest)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; make it or get it first") from None
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {error.strerror}; it must be a file that you may read"
        ) from None
    except UnicodeDecodeError:
        with path.open("rb") as binary:
            utf_16 = binary.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        raise PipelineError(
            f"{path}: is {'text in UTF-16' if utf_16 else 'not text'}; a CSV file in UTF-8 is "
            "allowed (if it is an archive, unpack it; else get it again)"
        ) from None
    except csv.Error as error:
        raise PipelineError(
            f"{path}, line {reader.line_num}: is not CSV ({error}); delete it and get it again"
        ) from None


def _check_header(path: Path, header: Sequence[str], expected: Sequence[str]) -> None:
    delimiter = next((one for one in ";\t|" if one in header[0]), "") if len(header) == 1 else ""
    if delimiter and len(expected) > 1:
        raise PipelineError(
            f"{path}, line 1: the delimiter is {delimiter!r}; a comma is needed, save the file "
            "with commas"
        )
    pairs = zip_longest(header, expected, fillvalue="(none)")
    for number, (name, right_name) in enumerate(pairs, start=1):
        if name != right_name:
            raise PipelineError(
                f"{path}, line 1: column {number} is {printable(name)!r} where {right_name!r} "
                f"belongs; needed: {_summary(expected)}, found: {_summary(header)}"
            )


def _check_row(line: str, cells: Sequence[str], highest: Mapping[str, int]) -> None:
    """Raise PipelineError unless each column has a cell with a whole number in its range."""
    if not cells:
        raise PipelineError(
            f"{line}: is empty; remove the line, or delete the file and get it again"
        )
    if len(cells) != len(highest):
        raise PipelineError(
            f"{line}: has {len(cells)} cells, {len(highest)} are needed; "
            "the file may be cut short, get it again"
        )
    for (column, high), cell in zip(highest.items(), cells, strict=True):
        text = cell.strip(" ")
        if not text:
            fault = "is empty"
        elif not _WHOLE_NUMBER.fullmatch(text):
            fault = f"is {cell[:40]!r}, not a whole number"
        elif not 0 <= int(text) <= high:
            fault = f"is {text}"
        else:
            continue
        raise PipelineError(
            f"{line}, column {column!r}: {fault}; a whole number from 0 to {high} is needed, "
            "correct it, or delete the file and get it again"
        )


def _summary(columns: Sequence[str]) -> str:
    """Return up to four column names in full, more as first, second, ..., last."""
    if len(columns) <= 4:
        return printable(",".join(columns))
    return printable(f"{columns[0]},{columns[1]},...,{columns[-1]} ({len(columns)} columns)")
