"""The jury of the practice competition: the only module that reads or writes hidden labels."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError

HIDDEN_FILE = Path("hidden", "labels.csv")
"""Where the hidden labels lie inside the practice folder: `ImageId,Label,Usage`."""
PUBLIC_ROWS = 7_000
"""Rows that the public score counts: 25 % of 28,000, as Kaggle states for its competition."""


@dataclass(frozen=True)
class Score:
    """The share of right labels, in [0, 1], on the public, the private and all hidden rows."""

    public: float
    private: float
    overall: float


def score(folder: Path, predicted: NDArray[np.uint8]) -> Score:
    """Compare `predicted`, uint8 [28000] in the order of `test.csv`, with the hidden labels.

    `folder` is the practice folder. Raises PipelineError when the hidden labels are missing or
    their number differs.
    """
    path = folder / HIDDEN_FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            hidden = list(csv.DictReader(file))
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {error.strerror}; delete {folder} and make the data again"
        ) from None
    if len(predicted) != len(hidden):
        raise PipelineError(
            f"submission: has {len(predicted):,} labels; {len(hidden):,} are needed"
        )
    right = predicted == np.array([int(row["Label"]) for row in hidden])
    public = np.array([row["Usage"] == "Public" for row in hidden])
    return Score(
        public=float(right[public].mean()),
        private=float(right[~public].mean()),
        overall=float(right.mean()),
    )


def write_hidden(folder: Path, labels: NDArray[np.uint8], public_rows: NDArray[np.int64]) -> Path:
    """Write the hidden `labels`, uint8 [28000], and say which rows are public; return the path.

    `public_rows` are row numbers of `test.csv`, counted from 0; all others are private.
    """
    usage = np.full(len(labels), "Private")
    usage[public_rows] = "Public"
    lines = [
        f"{number},{label},{use}\n"
        for number, (label, use) in enumerate(zip(labels, usage, strict=True), start=1)
    ]
    path = folder / HIDDEN_FILE
    files.write_text(path, "ImageId,Label,Usage\n" + "".join(lines))
    return path
