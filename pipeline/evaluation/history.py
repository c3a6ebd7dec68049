"""A member's epochs, as history.csv in its folder has them."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.common import files

LARGEST_HISTORY = 10_000_000
"""Bytes of history.csv: a hundred thousand epochs."""


def read_history(path: Path) -> pd.DataFrame:
    """Return a member's history.csv. Raises OSError, and ValueError for other than numbers."""
    content = files.read_bytes(path, LARGEST_HISTORY)
    table = pd.read_csv(io.BytesIO(content), dtype=float, index_col=False)
    if not np.isfinite(table.to_numpy()).all():
        raise ValueError("it holds values that are no finite numbers")
    return table
