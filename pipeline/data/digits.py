"""The competition's two CSV files as arrays of handwritten digits, checked cell by cell."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.data.csv_table import read_table
from pipeline.data.spec import SPEC

_PIXELS = dict.fromkeys(SPEC.test_columns, SPEC.highest_pixel)


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
    table = read_table(path, {SPEC.label_column: SPEC.last_label} | _PIXELS, expected_rows)
    return Digits(images=as_images(table[:, 1:]), labels=table[:, 0].copy())


def read_test(path: Path, expected_rows: int | None = None) -> NDArray[np.uint8]:
    """Read `test.csv` into uint8 images [n, 28, 28, 1] in 0..255; see `read_train`."""
    return as_images(read_table(path, _PIXELS, expected_rows))


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
