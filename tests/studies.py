"""A small study of a search, in a folder."""

from pathlib import Path

from pipeline.search.space import Range
from pipeline.search.study import SearchStudy

SPACE = {"training.learning_rate": Range(0.001, 0.1, log=True)}


def opened(folder: Path) -> SearchStudy:
    """Return the study in `folder`, made if need be, of trials of 8 epochs."""
    return SearchStudy(folder, SPACE, {"training.learning_rate": 0.01}, epochs=8, seed=0)
