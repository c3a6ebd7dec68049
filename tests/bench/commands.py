"""Runs whole commands, ours and the peers', each in its own process and folder."""

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

Value = TypeVar("Value")

THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)
"""The variables that set the number of threads of TensorFlow, NumPy and their libraries."""


def write_digits(folder: Path, rows: int, test_rows: int = 100) -> None:
    """Write the first `rows` digits of MNIST as train.csv and the next `test_rows` as test.csv."""
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    table = np.column_stack([labels[:rows], images[:rows]])
    write_table(folder / "train.csv", SPEC.train_columns, table)
    write_table(folder / "test.csv", SPEC.test_columns, images[rows : rows + test_rows])


def train_in_new_folder(
    recipe: str,
    settings: str,
    digits: Path,
    executor: str,
    read: Callable[[Path], Value],
    stage: str = "train",
) -> Value:
    """Train as `make train` does, in a temporary folder. Return what `read` returns for it.

    `recipe` is a name or a path. With the stage "ensemble", the run also predicts.
    """
    recipe = str(Path(recipe).resolve()) if recipe.endswith(".toml") else recipe
    with TemporaryDirectory() as name:
        command = [sys.executable, "-m", "pipeline", stage, "--recipe", recipe]
        command += ["--set", settings, "--source", str(digits), "--executor", executor]
        _run(command, Path(name), {"PYTHONPATH": str(REPOSITORY), "RAY_ADDRESS": ""})
        return read(Path(name))


def train_peer(
    peer: str,
    digits: Path,
    output: Path,
    *arguments: str,
    epochs: int | None = None,
    threads: int | None = None,
    autotuner: bool = True,
) -> None:
    """Train a reference peer (peer.py) in its own process, with or without tf.data's autotuner.

    By default it trains the peer's own number of epochs, on all cores.
    """
    module = f"tests.bench.{'peer' if autotuner else 'without_autotuner'}"
    command = [sys.executable, "-m", module, peer, "--digits", str(digits)]
    command += ["--output", str(output.resolve()), *arguments]
    if epochs is not None:
        command += ["--epochs", str(epochs)]
    variables = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    _run(command, REPOSITORY, variables)


def images_per_second(folder: Path, rows: int) -> float:
    """Return the rate at which the trainings below `folder` ran together, on `rows` rows each.

    Every history.csv is one training, which ended when that file was written. Its first epoch, in
    which TensorFlow builds its graphs, does not count. The time is from the earliest start of a
    second epoch to the latest end of a last one.
    """
    seconds = {path: pd.read_csv(path)["seconds"][1:] for path in folder.rglob("history.csv")}
    ends = {path: path.stat().st_mtime for path in seconds}
    starts = [ends[path] - float(epochs.sum()) for path, epochs in seconds.items()]
    images = rows * sum(map(len, seconds.values()))
    return images / (max(ends.values()) - min(starts))


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Run a command. If it fails, print its output on stderr and exit."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"error: {' '.join(command)} ended with exit code {done.returncode}")
