"""The file that is handed in: `ImageId,Label`, one line for each row of `test.csv`."""

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.data import csv_rows
from pipeline.data.spec import SPEC

COLUMNS = ("ImageId", "Label")
"""Columns of a submission: the row's number in `test.csv`, counted from 1, and the digit."""


def write(path: Path, labels: NDArray[np.integer]) -> None:
    """Write `labels`, integers [n] in 0..9 in the order of `test.csv`, as a submission.

    The file is written wholly or not at all, and only after it was read back and found equal.
    Raises PipelineError when `labels` is not such an array.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise PipelineError(
            f"{path}: labels are {labels.dtype} {list(labels.shape)}; integers [n] are needed"
        )
    outside = labels[(labels < 0) | (labels > 9)]
    if len(outside):
        raise PipelineError(f"{path}: a label is {outside[0]}; 0 to 9 are allowed")
    with files.replacing(path) as temporary:
        temporary.write_bytes(content(labels))
        if not np.array_equal(check(temporary, rows=len(labels)), labels):
            raise PipelineError(f"{path}: reads back other labels than were written; try again")


def content(labels: NDArray[np.integer]) -> bytes:
    """Return a submission of `labels`, integers [n] in 0..9, as the bytes of its file."""
    lines = [f"{number},{label}\n" for number, label in enumerate(labels.tolist(), start=1)]
    return (",".join(COLUMNS) + "\n" + "".join(lines)).encode()


def check(path: Path, rows: int = SPEC.test_rows) -> NDArray[np.uint8]:
    """Return the labels of a submission, uint8 [rows] in 0..9, or say what is wrong with it.

    The header must be `ImageId,Label` and the ids 1, 2, ..., `rows` in this order. Raises
    PipelineError with the file, line (the header is line 1) and column of the first deviation.
    """
    lines = csv_rows.read(path)
    _, found = next(lines)
    csv_rows.check_header(path, found, COLUMNS)
    labels = []
    for number, (line, cells) in enumerate(islice(lines, rows), start=1):
        csv_rows.check_width(path, line, cells, COLUMNS)
        image_id = csv_rows.whole_number(path, line, "ImageId", cells[0], 1, rows)
        if image_id != number:
            raise PipelineError(
                f"{path}, line {line}, column 'ImageId': is {image_id} where {number} belongs; "
                f"number the rows from 1 to {rows} in the order of test.csv"
            )
        labels.append(csv_rows.whole_number(path, line, "Label", cells[1], 0, 9))
    count = len(labels) + sum(1 for _ in lines)
    if count != rows:
        raise PipelineError(
            f"{path}: has {count:,} rows; {rows:,} are needed, one for each row of test.csv"
        )
    return np.array(labels, dtype=np.uint8)
