"""Scores practice submissions: the only module that reads or writes the hidden labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.data.spec import SPEC

HIDDEN_FILE = Path("hidden", "labels.csv")
"""The path of the hidden labels inside the practice folder."""

_ID_COLUMN, _LABEL_COLUMN = SPEC.submission_columns
_USAGE_COLUMN, _PUBLIC, _PRIVATE = "Usage", "Public", "Private"


@dataclass(frozen=True)
class Score:
    """The share of correct labels, in [0, 1], on the public, the private and all hidden rows."""

    public: float
    private: float
    hidden: float


def score(folder: Path, predicted: NDArray[np.uint8]) -> Score:
    """Compare `predicted`, uint8 [28000] in the order of `test.csv`, with the hidden labels.

    `folder` is the practice folder. Raises PipelineError if the hidden labels are missing, or if
    their number differs.
    """
    path = folder / HIDDEN_FILE
    try:
        hidden = pd.read_csv(path)
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {error.strerror}; delete {folder} and make the data again"
        ) from None
    if len(predicted) != len(hidden):
        raise PipelineError(
            f"submission: has {len(predicted):,} labels; {len(hidden):,} are needed"
        )
    correct = predicted == hidden[_LABEL_COLUMN].to_numpy()
    public = hidden[_USAGE_COLUMN].to_numpy() == _PUBLIC
    return Score(
        public=float(correct[public].mean()),
        private=float(correct[~public].mean()),
        hidden=float(correct.mean()),
    )


def write_hidden(folder: Path, labels: NDArray[np.uint8], public_rows: NDArray[np.int64]) -> Path:
    """Write the hidden `labels`, uint8 [28000], marked public or private; return the file's path.

    `public_rows` are row numbers of `test.csv`, counted from 0; all others are private.
    """
    table = pd.DataFrame({_LABEL_COLUMN: labels, _USAGE_COLUMN: _PRIVATE})
    table.loc[public_rows, _USAGE_COLUMN] = _PUBLIC
    table.index += SPEC.first_id
    path = folder / HIDDEN_FILE
    with files.replacing(path) as temporary:
        table.to_csv(temporary, index_label=_ID_COLUMN, lineterminator="\n")
    return path
