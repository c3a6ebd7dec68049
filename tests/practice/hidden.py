"""The hidden rows of a practice folder, and whether a file gives their labels away."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competitions.practice.draw import Hidden
from pipeline.competitions.practice.scorer import hidden_rows
from pipeline.competitions.practice.source import PracticeSource
from pipeline.competitions.sources import MNIST_FOLDER


def hidden_of(folder: Path) -> Hidden:
    """Return the hidden rows that belong to the files in `folder`."""
    seed = json.loads((folder / "practice.json").read_text())["seed"]
    return hidden_rows(PracticeSource(folder, MNIST_FOLDER, seed))


def holds_labels(path: Path, labels: NDArray[np.uint8]) -> bool:
    """Return whether labels can be read from a file: bytes, digits, a CSV's column, an array."""
    content = path.read_bytes()
    if any(labels.astype(kind).tobytes() in content for kind in ("u1", "i2", "i4", "i8", "f4")):
        return True
    if path.suffix == ".csv":
        columns = pd.read_csv(path).items() if content.count(b"\n") > len(labels) else []
        return any(np.array_equal(column, labels) for _, column in columns)
    if path.suffix in (".npy", ".npz"):
        stored = np.load(path)
        arrays = stored.values() if path.suffix == ".npz" else [stored]
        return any(np.array_equal(array.ravel(), labels) for array in arrays)
    return "".join(map(str, labels)).encode() in re.sub(rb"\D", b"", content)
