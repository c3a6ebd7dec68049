"""Kill -9 at random moments: does a run that is resumed end as one that was never stopped?

`python -m tests.bench.kills --kills 20` trains one run undisturbed and the same run again and
again interrupted, on the first 600 digits of MNIST, and compares every number of both.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import mnist
from pipeline.digits import TEST_COLUMNS, TRAIN_COLUMNS
from pipeline.practice.data import write_table
from pipeline.sources import MNIST_FOLDER

REPOSITORY = Path(__file__).parents[2]
SETTINGS = (
    "training.epochs={epochs} training.batch_size=50 training.learning_rate=0.004 members.folds=2 "
    "reduce_on_plateau.patience=1 early_stopping.patience=30 "
    "checkpoints.keep_best=1 checkpoints.keep_last=1"
)


@dataclass
class Subject:
    """A folder in which the same run is trained, and what became of it."""

    root: Path
    data: Path
    epochs: int = 40
    moments: list[str] = field(default_factory=list)

    def start(self) -> subprocess.Popen[str]:
        """Begin, or go on with, the run and its ensemble."""
        self.root.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pipeline", "ensemble", "--recipe", "quick"]
        return subprocess.Popen(
            [*command, "--set", SETTINGS.format(epochs=self.epochs), "--source", str(self.data)],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> str:
        """Train to the end and return what was printed. Raises RuntimeError if that fails."""
        process = self.start()
        printed, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(errors)
        return printed

    def _check_record(self) -> None:
        """Raise RuntimeError if run.json names a checkpoint that is not there."""
        for path in self.root.glob("runs/*/run.json"):
            for member in json.loads(path.read_text())["members"]:
                folder = path.parent / "members" / str(member["index"]) / "checkpoints"
                lost = [
                    one["file"]
                    for one in member["checkpoints"]
                    if not (folder / one["file"]).exists()
                ]
                if lost:
                    raise RuntimeError(f"{path} names {lost}, which are not in {folder}")

    def kill(self, chance: random.Random, longest: float) -> bool:
        """Go on with the run and kill it at a random moment; False if it was finished before."""
        with self.start() as process:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("run "):
                    break
            time.sleep(chance.uniform(0, longest))
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().splitlines()
        self.moments.append(rest[-1][:60] if rest else "before the first epoch's end")
        self._check_record()
        return process.returncode == -signal.SIGKILL


def differences(one: Path, other: Path) -> list[str]:
    """Name every file of two run folders that does not hold the very same numbers.

    Of a history the seconds, and of a checkpoint the date in it, may differ.
    """
    import keras

    found = []
    names = {
        path.relative_to(root)
        for root in (one, other)
        for path in (root / "runs").rglob("*")
        if path.suffix in (".csv", ".npz", ".keras") and not path.name.startswith(".")
    }
    for name in sorted(names):
        if not ((one / name).exists() and (other / name).exists()):
            found.append(f"{name} is there once")
            continue
        if name.suffix == ".csv":
            tables = [pd.read_csv(root / name).drop(columns="seconds") for root in (one, other)]
            same = tables[0].equals(tables[1])
        elif name.suffix == ".npz":
            arrays = [dict(np.load(root / name)) for root in (one, other)]
            same = all(np.array_equal(arrays[0][key], arrays[1][key]) for key in arrays[0])
        else:
            weights = [
                keras.saving.load_model(root / name, compile=False).get_weights()
                for root in (one, other)
            ]
            same = all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
        if not same:
            found.append(f"{name} differs")
    return found


def write_digits(folder: Path) -> Path:
    """Write 600 labelled digits and 200 others as a person's folder, and return it."""
    folder.mkdir()
    images, labels = mnist.read(MNIST_FOLDER)
    table = np.column_stack([labels, images])
    write_table(folder / "train.csv", list(TRAIN_COLUMNS), table[:600])
    write_table(folder / "test.csv", list(TEST_COLUMNS), images[600:800])
    return folder


def main() -> None:
    """Kill as often as asked, in as many runs as that takes; exit 1 if one ends differently."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        data = write_digits(Path(name) / "digits")
        whole = Subject(Path(name) / "whole", data)
        started = time.monotonic()
        whole.finish()
        longest = time.monotonic() - started
        kills, runs, wrong = 0, 0, list[str]()
        while kills < asked.kills:
            killed = Subject(Path(name) / f"killed-{runs}", data)
            while kills < asked.kills and killed.kill(chance, longest / 3):
                kills += 1
                print(f"kill {kills}: {killed.moments[-1]}", flush=True)
            killed.finish()
            runs += 1
            wrong += differences(whole.root, killed.root)
    print(f"{kills} kills in {runs} runs: {len(wrong)} files differ")
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
