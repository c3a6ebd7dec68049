"""The competition's two CSV files as arrays of handwritten digits, checked cell by cell.

Errors count lines as a text editor does: the header is line 1, the first row is line 2.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.data import csv_rows
from pipeline.data.spec import SPEC

# Rows parsed at a time. pandas parses into int64, so 2,000 rows take 13 MB before they shrink.
_CHUNK_ROWS = 2_000


@dataclass(frozen=True, eq=False)
class Digits:
    """Labelled digits: `images` uint8 [n, 28, 28, 1] in 0..255, `labels` uint8 [n] in 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def select(labelled: Digits, rows: NDArray[np.int64]) -> Digits:
    """Return the given rows of labelled digits, in the order of `rows`."""
    return Digits(images=labelled.images[rows], labels=labelled.labels[rows])


def read_train(path: Path, expected_rows: int | None = None) -> Digits:
    """Read `train.csv`: a label and 784 pixels per row, in the file's order.

    `expected_rows` is the number of rows that the file must have; None allows any but 0.
    Raises PipelineError with the file, line and column of the first deviation.
    """
    table = _read_table(path, SPEC.train_columns, expected_rows)
    return Digits(images=as_images(table[:, 1:]), labels=table[:, 0].copy())


def read_test(path: Path, expected_rows: int | None = None) -> NDArray[np.uint8]:
    """Read `test.csv` into uint8 images [n, 28, 28, 1] in 0..255; see `read_train`."""
    return as_images(_read_table(path, SPEC.test_columns, expected_rows))


def fingerprint(train_path: Path, test_path: Path) -> str:
    """Return 64 hexadecimal digits that change with any byte of the two files.

    It is the SHA-256 over the files' own SHA-256 digests, train first. Raises PipelineError
    if a file cannot be read.
    """
    digests = []
    for path in (train_path, test_path):
        try:
            digests.append(files.sha256(path))
        except OSError as error:
            raise PipelineError(
                f"{path}: cannot be read: {error.strerror}; make or get a file that you may read"
            ) from None
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def as_images(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return rows of pixels, uint8 [n, 784], as images, uint8 [n, 28, 28, 1]."""
    return np.ascontiguousarray(pixels).reshape(-1, *SPEC.image_shape)


def _read_table(path: Path, columns: Sequence[str], expected_rows: int | None) -> NDArray[np.uint8]:
    """Return the cells of a CSV file as uint8 [rows, columns]. Raises PipelineError."""
    try:
        table = _parse(path, columns)
    except (OSError, ValueError) as error:
        # Only a faulty file comes here, so the search may be slow.
        _raise_first_deviation(path, columns)
        raise PipelineError(
            f"{path}: cannot be read as digits ({str(error).strip()}); delete it and get it again"
        ) from error
    if not len(table):
        raise PipelineError(f"{path}: has a header but no rows; delete it and get it again")
    if expected_rows is not None and len(table) != expected_rows:
        raise PipelineError(
            f"{path}: has {len(table):,} rows, the competition's file has {expected_rows:,}; "
            "delete it and get it again"
        )
    return table


def _parse(path: Path, columns: Sequence[str]) -> NDArray[np.uint8]:
    """Parse the whole file with pandas. Raises ValueError if anything in it deviates.

    pandas infers the type of each column on purpose: told to read uint8, it wraps 300 to 44.
    """
    highest = np.array([_highest(column) for column in columns])
    chunks = [np.empty((0, len(columns)), dtype=np.uint8)]
    with pd.read_csv(
        path,
        chunksize=_CHUNK_ROWS,
        encoding="utf-8-sig",
        skip_blank_lines=False,
        low_memory=False,
    ) as reader:
        for frame in reader:
            if list(frame.columns) != list(columns):
                raise ValueError("other columns")
            if not isinstance(frame.index, pd.RangeIndex):
                # pandas takes surplus cells at the start of each line for row names.
                raise ValueError("more cells than columns")
            if len(frame) and (frame.dtypes != np.int64).any():
                raise ValueError("a cell is not a whole number")
            cells = frame.to_numpy()
            if (cells < 0).any() or (cells > highest).any():
                raise ValueError("a number is out of range")
            chunks.append(cells.astype(np.uint8))
    return np.concatenate(chunks)


def _raise_first_deviation(path: Path, columns: Sequence[str]) -> None:
    """Raise PipelineError for the first line or cell that does not belong in the file."""
    limits = [(column, _highest(column)) for column in columns]
    for line, cells in csv_rows.read_rows(path, columns):
        for (column, high), cell in zip(limits, cells, strict=True):
            csv_rows.whole_number(path, line, column, cell, 0, high)


def _highest(column: str) -> int:
    return SPEC.last_label if column == SPEC.label_column else SPEC.highest_pixel
