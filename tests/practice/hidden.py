"""The hidden rows of a practice folder."""

import json
from pathlib import Path

from pipeline.competitions.practice.draw import Hidden
from pipeline.competitions.practice.scorer import hidden_rows
from pipeline.competitions.practice.source import PracticeSource
from pipeline.competitions.sources import MNIST_FOLDER


def hidden_of(folder: Path) -> Hidden:
    """Return the hidden rows that belong to the files in `folder`."""
    seed = json.loads((folder / "practice.json").read_text())["seed"]
    return hidden_rows(PracticeSource(folder, MNIST_FOLDER, seed))
