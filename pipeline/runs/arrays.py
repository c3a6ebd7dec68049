"""The arrays of validation.npz and test.npz: read within limits, and checked before any use."""

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.data.checks import check_array, check_digits, check_probabilities
from pipeline.data.spec import SPEC

Arrays = dict[str, NDArray[Any]]
"""Arrays by their names in a .npz file."""

LARGEST = 500_000_000
"""Bytes of a .npz file, packed and unpacked. Ten million rows of probabilities need as much."""

_HIGHEST_ROW = 10**9  # any: which rows belong here is known where the digits are


class DamagedArraysError(PipelineError):
    """A file of arrays is missing, damaged or not the recorded one. It can be made again.

    `problem` names the file and what is wrong with it.
    """

    def __init__(self, problem: str, run_id: str) -> None:
        super().__init__(f"{problem}; make ensemble RUN={run_id} makes it again")
        self.problem = problem


def pack(arrays: Arrays) -> bytes:
    """Return arrays as the content of a .npz file, compressed."""
    written = io.BytesIO()
    np.savez_compressed(written, allow_pickle=False, **arrays)
    return written.getvalue()


def unpack(content: bytes) -> Arrays:
    """Return the arrays in the content of a .npz file.

    Raises ValueError where it is damaged, holds anything but plain arrays, or unpacks to more than
    LARGEST bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise ValueError(f"it unpacks to {size:,} bytes; at most {LARGEST:,} are allowed")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored)
    except Exception as error:  # NumPy, zipfile and the decompressors raise a dozen kinds
        raise ValueError(printable(str(error) or type(error).__name__)) from None
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError("it holds other files than arrays")
    return arrays


def check(name: str, arrays: Arrays) -> None:
    """Raise ValueError unless `arrays` are what `<name>.npz` must hold.

    `rows` is integers [n], n > 0: ascending row numbers for "validation", 0 to n - 1 for "test".
    `labels` is integers [n] in 0..9; the test rows may lack it. `probabilities` is float32 [n, 10],
    0 or more, in rows that sum to 1.
    """
    required, optional = {"rows", "probabilities"}, {"labels"}
    if name == "validation":
        required, optional = required | optional, set()
    if not required <= arrays.keys() <= required | optional:
        found = ", ".join(sorted(arrays)) or "no arrays"
        raise ValueError(f"it holds {printable(found)}, not {', '.join(sorted(required))}")
    rows, probabilities = arrays["rows"], arrays["probabilities"]
    count = rows.size
    check_array("rows", rows, np.integer, count)
    if "labels" in arrays:
        check_digits("labels", arrays["labels"], count)
    check_array("probabilities", probabilities, np.float32, count, SPEC.classes)
    with np.errstate(invalid="ignore"):  # the sum of infinities
        check_probabilities(probabilities, count)
    if not count or (rows[1:] <= rows[:-1]).any() or not 0 <= rows[0] <= rows[-1] <= _HIGHEST_ROW:
        raise ValueError("the row numbers must be ascending, from 0 or more, and not none")
    if name == "test" and rows[-1] != count - 1:
        raise ValueError(f"{count:,} test rows must have the numbers 0 to {count - 1:,}")
