"""Eight small members: side by side against one after another, and Ray against processes."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline import mnist
from pipeline.digits import TEST_COLUMNS, TRAIN_COLUMNS
from pipeline.practice.data import write_table
from pipeline.sources import MNIST_FOLDER
from tests.bench.timing import Result, interleave

REPOSITORY = Path(__file__).parents[2]
MEMBERS, EPOCHS, ROWS = 8, 4, 10_000
SETTINGS = f"members.seeds={MEMBERS} training.epochs={EPOCHS} split.validation_fraction=0.2"
IMAGES = MEMBERS * EPOCHS * ROWS * 4 // 5


def train(executor: str, digits: Path) -> None:
    """Train the members in a new folder, as `make train` does: every start counts."""
    with TemporaryDirectory() as root:
        command = [sys.executable, "-m", "pipeline", "train", "--recipe", "quick"]
        command += ["--set", SETTINGS, "--source", str(digits), "--executor", executor]
        subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "RAY_ADDRESS": ""},
            check=True,
            capture_output=True,
        )


def write_digits(folder: Path) -> None:
    """Write the first 10,000 digits of MNIST as the competition's two files."""
    images, labels = mnist.read(MNIST_FOLDER)
    table = np.column_stack([labels, images.reshape(len(images), -1)])
    write_table(folder / "train.csv", list(TRAIN_COLUMNS), table[:ROWS])
    write_table(folder / "test.csv", list(TEST_COLUMNS), table[ROWS : ROWS + 100, 1:])


def members(peer: str, ours: str) -> Result:
    """The time of the whole command for eight members of `quick`, two cores shared or not."""
    with TemporaryDirectory() as name:
        digits = Path(name)
        write_digits(digits)
        one, other = (partial(train, executor, digits) for executor in (peer, ours))
        claim = f"{MEMBERS} members of quick, {EPOCHS} epochs of 8,000 rows: {ours}"
        return interleave(claim, peer, IMAGES, one, other, repeats=3, warm_up=False)
