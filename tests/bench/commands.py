"""Whole commands, ours and the peers', each in a process and a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pandas as pd

from pipeline import mnist
from pipeline.digits import TEST_COLUMNS, TRAIN_COLUMNS
from pipeline.practice.data import write_table
from pipeline.sources import MNIST_FOLDER
from tests.commands import REPOSITORY

Found = TypeVar("Found")


def write_digits(folder: Path, rows: int) -> None:
    """Write the first digits of MNIST as the competition's two files; the 100 next are test.csv."""
    images, labels = mnist.read(MNIST_FOLDER)
    table = np.column_stack([labels, images.reshape(len(images), -1)])
    write_table(folder / "train.csv", list(TRAIN_COLUMNS), table[:rows])
    write_table(folder / "test.csv", list(TEST_COLUMNS), table[rows : rows + 100, 1:])


def train_in_a_new_folder(
    recipe: str,
    settings: str,
    digits: Path,
    executor: str,
    look: Callable[[Path], Found],
) -> Found:
    """Train as `make train` does: every start counts. Return what `look` finds in the folder."""
    with TemporaryDirectory() as name:
        command = [sys.executable, "-m", "pipeline", "train", "--recipe", recipe]
        command += ["--set", settings, "--source", str(digits), "--executor", executor]
        subprocess.run(
            command,
            cwd=name,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "RAY_ADDRESS": ""},
            check=True,
            capture_output=True,
        )
        return look(Path(name))


def train_peer(peer: str, digits: Path, output: Path, *arguments: str) -> None:
    """Train a reference peer (peer.py) in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.peer", peer, "--digits", str(digits)]
    subprocess.run(
        [*command, "--output", str(output), *arguments],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )


def images_per_second(folder: Path, rows: int) -> float:
    """Return the rate of all history.csv files below `folder`, trained at the same time.

    The first epoch, in which TensorFlow prepares itself, does not count.
    """
    histories = [pd.read_csv(path) for path in folder.rglob("history.csv")]
    return float(sum(rows / history["seconds"][1:].mean() for history in histories))
