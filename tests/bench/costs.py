"""What training costs: time and memory by rows, by members, and of a long stream of warps."""

import gc
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from pipeline import recipe
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from pipeline.data.digits import Digits
from pipeline.training import batches
from tests.bench.commands import train_in_new_folder, write_digits
from tests.bench.memory import peak_memory, used_memory

ROWS = (10_000, 20_000, 30_000, 42_000)
MEMBERS = (1, 2, 4, 8)
STREAMED = 1_000_000


def costs() -> str:
    """Measure all three, and return them as tables."""
    return "\n".join([_by_rows(), _by_members(), _stream()])


def _by_rows() -> str:
    lines = ["fast, 3 epochs, one process: seconds of the last epoch, peak memory"]
    for rows in ROWS:
        with TemporaryDirectory() as name, peak_memory() as peak:
            digits = Path(name)
            write_digits(digits, rows)
            settings = "training.epochs=3"
            seconds = train_in_new_folder("fast", settings, digits, "serial", _last_epoch)
        lines.append(f"  {rows:>9,} rows{seconds:>10.1f} s{peak.bytes / 1e9:>8.2f} GB")
    return "\n".join(lines)


def _by_members() -> str:
    lines = ["quick, 2 epochs of 8,500 rows, two processes: seconds from start to end, peak memory"]
    with TemporaryDirectory() as name:
        digits = Path(name)
        write_digits(digits, 10_000)
        for count in MEMBERS:
            settings = f"training.epochs=2 members.seeds={count}"
            started = time.perf_counter()
            with peak_memory() as peak:
                train_in_new_folder("quick", settings, digits, "processes", Path)
            seconds = time.perf_counter() - started
            noun = "member" if count == 1 else "members"
            lines.append(f"  {count:>6} {noun:<7}{seconds:>10.1f} s{peak.bytes / 1e9:>8.2f} GB")
    return "\n".join(lines)


def _stream() -> str:
    """Sample and warp a million rows, as an endless training would. Memory must not grow."""
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    rows = Digits(images[:42_000].reshape(-1, 28, 28, 1), labels[:42_000])
    epochs = STREAMED // len(rows.labels) + 1
    settings = recipe.load("bn_cnn", f"training.epochs={epochs} training.batch_size=250")
    samples, warped = [], 0
    started = time.perf_counter()
    for _, batch in batches.training_dataset(settings, rows, member=0):
        warped += len(batch)
        if warped % (STREAMED // 4) == 0:
            gc.collect()
            samples.append(f"{used_memory() / 1e9:.2f} GB")
    seconds = time.perf_counter() - started
    return (
        f"{STREAMED:,} warped rows streamed in {seconds:.0f} s; memory after each quarter: "
        f"{', '.join(samples)}"
    )


def _last_epoch(folder: Path) -> float:
    (path,) = folder.rglob("history.csv")
    return float(pd.read_csv(path)["seconds"].iloc[-1])
