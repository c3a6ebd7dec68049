"""Labels that look wrong: those to which networks not trained on them give a low probability."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.data.checks import check_digits, check_probabilities
from pipeline.runs import Run

FILE = "audit.csv"
PICTURE = "audit.png"
LARGEST = 100_000_000  # bytes of audit.csv
COLUMNS = {
    "row": np.int64,
    "label": np.int64,
    "predicted": np.int64,
    "probability": np.float64,
    "label_probability": np.float64,
    "suspicious": np.bool_,
}


def rank(
    rows: NDArray[np.integer[Any]],
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
) -> pd.DataFrame:
    """Return all rows, those first whose label is least probable.

    `rows` is integers [n], `labels` integers [n] in 0..9, and `probabilities` floats [n, 10] of
    networks that were not trained on the row. The result has the columns `COLUMNS`: `predicted` is
    the most probable digit. `suspicious` are the rows that cleanlab's `find_label_issues` takes for
    label errors by its default method, which estimates how many there are from the probabilities
    themselves (Northcutt et al., "Confident Learning", arXiv 1911.00068). The order is that of its
    "self_confidence".
    """
    # cleanlab is an extra, and takes seconds to import.
    from cleanlab.filter import find_label_issues

    check_digits("labels", labels, len(rows))
    check_probabilities(probabilities, len(rows))
    digits = labels.astype(np.int64)
    with warnings.catch_warnings():
        # It would warn of each digit that no row has.
        warnings.filterwarnings("ignore", "May not flag all label issues")
        issues = find_label_issues(digits, probabilities.astype(np.float64), n_jobs=1)
    table = pd.DataFrame(
        {
            "row": rows,
            "label": digits,
            "predicted": probabilities.argmax(axis=1),
            "probability": probabilities.max(axis=1),
            "label_probability": probabilities[np.arange(len(rows)), digits],
            "suspicious": issues,
        }
    ).astype(COLUMNS)
    return table.sort_values(["label_probability", "row"], ignore_index=True)


def save(run: Run, table: pd.DataFrame) -> Path:
    """Write the table of `rank` into the run's folder."""
    path = run.folder / FILE
    with files.replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    return path


def read(run: Run) -> pd.DataFrame | None:
    """Return the table in the run's folder, None if the run was not audited as it is now.

    Raises PipelineError where it is damaged.
    """
    path = run.folder / FILE
    if not path.exists():
        return None
    try:
        table = pd.read_csv(io.BytesIO(files.read_bytes(path, LARGEST)))
        table = table[list(COLUMNS)].astype(COLUMNS)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(
            f"{path} is damaged ({printable(error)}); make audit RUN={run.id} writes it again"
        ) from None
    return table if _is_of(table, run) else None


def _is_of(table: pd.DataFrame, run: Run) -> bool:
    """Return whether a table is made from the probabilities that the run has now."""
    stored = run.load_arrays("validation")
    by_row = table.sort_values("row")
    if not np.array_equal(by_row["row"], stored["rows"]):
        return False
    now = stored["probabilities"][np.arange(len(by_row)), stored["labels"]]
    return bool(np.allclose(by_row["label_probability"], now))
