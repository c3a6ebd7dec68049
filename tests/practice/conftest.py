"""The practice competition, to read and to change."""

import shutil
from pathlib import Path

import pytest

from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.practice.draw import Hidden
from pipeline.competitions.practice.source import PracticeSource
from pipeline.competitions.sources import MNIST_FOLDER
from tests.practice.hidden import hidden_of


@pytest.fixture(scope="module")
def hidden(practice: PracticeSource) -> Hidden:
    """The hidden rows."""
    return hidden_of(practice.folder)


@pytest.fixture
def copy(practice: PracticeSource, tmp_path: Path) -> PracticeSource:
    """A copy of the practice competition's files that a test may damage."""
    shutil.copytree(practice.folder, tmp_path / "practice")
    return PracticeSource(tmp_path / "practice", MNIST_FOLDER, 0)


@pytest.fixture
def competition(copy: PracticeSource) -> PracticeCompetition:
    """The competition of the copy, which a test may submit to."""
    return PracticeCompetition(copy)
