"""The practice competition, to read and to change."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.practice.source import PracticeSource
from pipeline.competitions.sources import MNIST_FOLDER
from tests.practice.hidden import hidden_rows


@pytest.fixture(scope="module")
def hidden(practice: PracticeSource) -> NDArray[np.int64]:
    """The hidden labels, in the order of test.csv."""
    return np.array([int(row["Label"]) for row in hidden_rows(practice.folder)])


@pytest.fixture
def copy(practice: PracticeSource, tmp_path: Path) -> PracticeSource:
    """A copy of the practice competition's files that a test may damage."""
    shutil.copytree(practice.folder, tmp_path / "practice")
    return PracticeSource(tmp_path / "practice", MNIST_FOLDER, 0)


@pytest.fixture
def competition(copy: PracticeSource) -> PracticeCompetition:
    """The competition of the copy, which a test may submit to."""
    return PracticeCompetition(copy)
