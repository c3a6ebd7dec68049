"""Real digits for all tests, read or built once."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.competitions.practice import builder
from pipeline.competitions.practice.source import PracticeSource
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data.digits import Digits
from pipeline.data.mnist import read_mnist

# What training.deterministic does, for the process of the tests and those that it starts: read when
# TensorFlow makes its first tensor, which some test modules do while they are collected.
os.environ.update(TF_DETERMINISTIC_OPS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_reaches_the_tests() -> None:
    """Undo what a shell does to a job in the background: it ignores SIGINT, for children too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def labelled() -> Digits:
    """The first 800 digits of MNIST."""
    images, labels = read_mnist(MNIST_FOLDER)
    return Digits(images=images[:800].reshape(-1, 28, 28, 1), labels=labels[:800])


@pytest.fixture(scope="session")
def images(labelled: Digits) -> NDArray[np.uint8]:
    """Their images, uint8 [800, 28, 28, 1]."""
    return labelled.images


@pytest.fixture(scope="session")
def small_digits(labelled: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a person downloads it, but small: 600 labelled digits and 200 others."""
    folder = tmp_path_factory.mktemp("downloaded")
    pixels = labelled.images.reshape(800, -1)
    table = np.column_stack([labelled.labels, pixels])
    columns = [f"pixel{number}" for number in range(784)]
    builder.write_table(folder / "train.csv", ["label", *columns], table[:600])
    builder.write_table(folder / "test.csv", columns, pixels[600:])
    return folder


@pytest.fixture(scope="session")
def without_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PYTHONPATH on which importing TensorFlow or Keras fails."""
    folder = tmp_path_factory.mktemp("stubs")
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text("raise ImportError('not needed here')")
    return f"{folder}{os.pathsep}{Path(__file__).parents[1]}"


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> PracticeSource:
    """The practice competition's files of seed 0, built."""
    source = PracticeSource(tmp_path_factory.mktemp("practice"), MNIST_FOLDER, 0)
    source.fetch()
    return source
