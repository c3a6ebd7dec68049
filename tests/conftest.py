"""Fixtures that several test modules share: real digits, read once, and folders to work in."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.competitions.practice.source import PracticeSource
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data.digits import Digits
from pipeline.data.mnist import read_mnist
from pipeline.runs import RunStore
from tests.bench.commands import write_digits
from tests.commands import REPOSITORY, variables_of_targets
from tests.workspace import Workspace

# These have the effect of training.deterministic on the test process and its children. TensorFlow
# reads them when it makes its first tensor, which some test modules do while they are collected.
os.environ.update(TF_DETERMINISTIC_OPS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_reaches_the_tests() -> None:
    """Restore Python's handler of SIGINT, which a shell has background jobs ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def labelled() -> Digits:
    """The first 800 digits of MNIST."""
    images, labels = read_mnist(MNIST_FOLDER)
    return Digits(images=images[:800].reshape(-1, 28, 28, 1), labels=labels[:800])


@pytest.fixture(scope="session")
def images(labelled: Digits) -> NDArray[np.uint8]:
    """The images of `labelled`, uint8 [800, 28, 28, 1]."""
    return labelled.images


@pytest.fixture(scope="session")
def training(labelled: Digits) -> Digits:
    """The first 520 digits of `labelled`, for one member to train on."""
    return Digits(labelled.images[:520], labelled.labels[:520])


@pytest.fixture(scope="session")
def validation(labelled: Digits) -> Digits:
    """The other 280 digits of `labelled`."""
    return Digits(labelled.images[520:], labelled.labels[520:])


@pytest.fixture(scope="session")
def small_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small train.csv and test.csv: 600 and 200 digits, together `labelled`."""
    folder = tmp_path_factory.mktemp("downloaded")
    write_digits(folder, rows=600, test_rows=200)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A folder for runs, which holds none yet."""
    return RunStore(tmp_path / "runs")


@pytest.fixture(scope="session")
def without_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PYTHONPATH with which the import of TensorFlow or Keras fails."""
    folder = tmp_path_factory.mktemp("stubs")
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text("raise ImportError('not needed here')")
    return f"{folder}{os.pathsep}{REPOSITORY}"


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> PracticeSource:
    """The practice competition's files of seed 0, built."""
    source = PracticeSource(tmp_path_factory.mktemp("practice"), MNIST_FOLDER, 0)
    source.fetch()
    return source


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A folder with a home folder of its own, for the tests of a module."""
    folder = tmp_path_factory.mktemp("workspace")
    options = set().union(*variables_of_targets().values())
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KAGGLE_") and name not in options and "proxy" not in name.lower()
    }
    home = folder / "home"
    home.mkdir()
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    # If the command found credentials after all, it still could not reach Kaggle.
    closed = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return Workspace(folder, {**kept, **own, **closed})
