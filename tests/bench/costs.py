"""What training costs: time and memory against rows and members, and a long stream of warps."""

import gc
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from pipeline import recipe
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from pipeline.data.digits import Digits
from pipeline.training import batches
from tests.bench.commands import train_in_a_new_folder, write_digits
from tests.bench.memory import held, watched

ROWS = (10_000, 20_000, 30_000, 42_000)
MEMBERS = (1, 2, 4, 8)
STREAMED = 1_000_000


def costs() -> str:
    """Measure all three, and return them as tables."""
    return "\n".join([_against_rows(), _against_members(), _stream()])


def _against_rows() -> str:
    lines = ["fast, 3 epochs, one process: seconds of the last epoch, peak memory"]
    for rows in ROWS:
        with TemporaryDirectory() as name, watched() as peak:
            digits = Path(name)
            write_digits(digits, rows)
            settings = "training.epochs=3"
            seconds = train_in_a_new_folder("fast", settings, digits, "serial", _last_epoch)
        lines.append(f"  {rows:>9,} rows{seconds:>10.1f} s{peak.bytes / 1e9:>8.2f} GB")
    return "\n".join(lines)


def _against_members() -> str:
    lines = ["quick, 2 epochs of 8,500 rows, two processes: seconds from start to end, peak memory"]
    with TemporaryDirectory() as name:
        digits = Path(name)
        write_digits(digits, 10_000)
        for members in MEMBERS:
            settings = f"training.epochs=2 members.seeds={members}"
            started = time.perf_counter()
            with watched() as peak:
                train_in_a_new_folder("quick", settings, digits, "processes", Path)
            seconds = time.perf_counter() - started
            lines.append(f"  {members:>6} members{seconds:>10.1f} s{peak.bytes / 1e9:>8.2f} GB")
    return "\n".join(lines)


def _stream() -> str:
    """Draw and warp a million rows, as an endless training would: memory must stay flat."""
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    rows = Digits(images[:42_000].reshape(-1, 28, 28, 1), labels[:42_000])
    epochs = STREAMED // len(rows.labels) + 1
    settings = recipe.load("bn_cnn", f"training.epochs={epochs} training.batch_size=250")
    marks, seen = [], 0
    started = time.perf_counter()
    for _, batch in batches.training_dataset(settings, rows, member=0):
        seen += len(batch)
        if seen % (STREAMED // 4) == 0:
            gc.collect()
            marks.append(f"{held(os.getpid()) / 1e9:.2f} GB")
    seconds = time.perf_counter() - started
    return f"{STREAMED:,} warped rows streamed in {seconds:.0f} s; memory at each quarter: " + (
        ", ".join(marks)
    )


def _last_epoch(folder: Path) -> float:
    (path,) = folder.rglob("history.csv")
    return float(pd.read_csv(path)["seconds"].iloc[-1])
