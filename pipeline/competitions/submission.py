"""The file that is submitted: the columns `ImageId,Label`, one row per row of `test.csv`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.data.csv_table import read_table
from pipeline.data.spec import SPEC

_COLUMNS = SPEC.submission_columns
_ID_COLUMN, _LABEL_COLUMN = _COLUMNS
_HIGHEST_ID = 10**9  # any: which one belongs where is checked apart


def write(path: Path, labels: NDArray[np.integer]) -> None:
    """Write `labels`, integers [n] in 0..9 in the order of `test.csv`, as a submission.

    The file is written completely or not at all, and only after it was read back and found equal.
    Raises PipelineError if `labels` is not such an array.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise PipelineError(
            f"{path}: labels are {labels.dtype} {list(labels.shape)}; integers [n] are needed"
        )
    outside = labels[(labels < 0) | (labels > SPEC.last_label)]
    if len(outside):
        raise PipelineError(f"{path}: a label is {outside[0]}; 0 to {SPEC.last_label} are allowed")
    with files.replacing(path) as temporary:
        temporary.write_bytes(content(labels))
        if not np.array_equal(check(temporary, rows=len(labels)), labels):
            raise PipelineError(f"{path}: other labels are read back than were written; try again")


def content(labels: NDArray[np.integer]) -> bytes:
    """Return a submission of `labels`, integers [n] in 0..9, as the bytes of its file."""
    rows = enumerate(labels.tolist(), start=SPEC.first_id)
    lines = [f"{number},{label}\n" for number, label in rows]
    return (",".join(_COLUMNS) + "\n" + "".join(lines)).encode()


def check(path: Path, rows: int = SPEC.test_rows) -> NDArray[np.uint8]:
    """Check a submission and return its labels, uint8 [rows] in 0..9.

    The header must be `ImageId,Label` and the ids 1, 2, ..., `rows` in this order. Raises
    PipelineError with the file, line (the header is line 1) and column of the first deviation.
    """
    table = read_table(path, {_ID_COLUMN: _HIGHEST_ID, _LABEL_COLUMN: SPEC.last_label}, rows)
    ids, labels = table.T
    right_ids = np.arange(SPEC.first_id, SPEC.first_id + rows)
    wrong_rows = np.flatnonzero(ids != right_ids)
    if len(wrong_rows):
        row = wrong_rows[0]
        raise PipelineError(
            f"{path}, line {row + 2}, column {_ID_COLUMN!r}: is {ids[row]} where {right_ids[row]} "
            f"belongs; number the rows from {right_ids[0]} to {right_ids[-1]} in the order of "
            f"{SPEC.test_file}"
        )
    return np.asarray(labels, dtype=np.uint8)
