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

from pipeline.competitions.practice.builder import write_table
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from pipeline.data.spec import SPEC
from tests.commands import REPOSITORY

Found = TypeVar("Found")

THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)
"""What sets the number of threads of TensorFlow and of the libraries below it and NumPy."""


def write_digits(folder: Path, rows: int) -> None:
    """Write the first digits of MNIST as the competition's two files; the 100 next are test.csv."""
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    table = np.column_stack([labels, images.reshape(len(images), -1)])
    write_table(folder / "train.csv", SPEC.train_columns, table[:rows])
    write_table(folder / "test.csv", SPEC.test_columns, table[rows : rows + 100, 1:])


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
        _run(command, Path(name), {"PYTHONPATH": str(REPOSITORY), "RAY_ADDRESS": ""})
        return look(Path(name))


def train_peer(
    peer: str,
    digits: Path,
    output: Path,
    *arguments: str,
    epochs: int | None = None,
    threads: int | None = None,
    autotuner: bool = True,
) -> None:
    """Train a reference peer (peer.py) in a process of its own.

    `epochs` and `threads` are by default the peer's own and TensorFlow's: all cores. Without
    `autotuner`, tf.data's is off.
    """
    module = f"tests.bench.{'peer' if autotuner else 'without_autotuner'}"
    command = [sys.executable, "-m", module, peer, "--digits", str(digits)]
    command += ["--output", str(output.resolve()), *arguments]
    if epochs is not None:
        command += ["--epochs", str(epochs)]
    variables = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    _run(command, REPOSITORY, variables)


def images_per_second(folder: Path, rows: int) -> float:
    """Return the rate of all history.csv files below `folder`, trained at the same time.

    The first epoch of each, in which TensorFlow prepares itself, does not count. The time is from
    the first start of a second epoch to the last end of a last one, when its file was written.
    """
    times = {path: pd.read_csv(path)["seconds"][1:] for path in folder.rglob("history.csv")}
    ends = [path.stat().st_mtime for path in times]
    starts = [end - float(one.sum()) for end, one in zip(ends, times.values(), strict=True)]
    return rows * sum(map(len, times.values())) / (max(ends) - min(starts))


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Run a command; what it says goes to stderr if it fails."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"error: {' '.join(command)} ended with {done.returncode}")
