"""Kill -9 at random moments: does a run that is resumed end as one that was never stopped?

`python -m tests.bench.kills --kills 20` trains one run undisturbed and the same run again and
again interrupted, on the first 600 digits of MNIST, and compares every number of both. With
`--executor processes` every second kill hits a worker, not the process that holds the run.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.competitions.practice.builder import write_table
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from pipeline.data.spec import SPEC
from tests.commands import plain_environment

SETTINGS = (
    "training.epochs={epochs} training.batch_size=50 training.learning_rate=0.004 members.folds=2 "
    "training.deterministic=true members.retries=9 "
    "reduce_on_plateau.patience=1 early_stopping.patience=30 "
    "checkpoints.keep_best=1 checkpoints.keep_last=1"
)

BEGUN = "continuing after|training on|predicting"
"""What is printed when a member, or the prediction, begins."""


@dataclass
class Subject:
    """A folder in which the same run is trained, and what became of it."""

    root: Path
    data: Path
    epochs: int = 40
    executor: str = "serial"
    ended: bool = False

    def start(self) -> subprocess.Popen[str]:
        """Begin, or go on with, the run and its ensemble."""
        self.root.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pipeline", "ensemble", "--recipe", "quick"]
        command += ["--executor", self.executor]
        return subprocess.Popen(
            [*command, "--set", SETTINGS.format(epochs=self.epochs), "--source", str(self.data)],
            cwd=self.root,
            env=plain_environment(),
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

    def kill(
        self, chance: random.Random, longest: float, worker: bool = False, after: str = BEGUN
    ) -> str:
        """Go on with the run and kill its process, or a worker's, at a random moment.

        That is at most `longest` seconds after a line that fits `after`. Returns what was killed,
        empty if the run was over before. Where a worker was killed, the run goes on to its end.
        """
        with self.start() as process:
            assert process.stdout
            for line in process.stdout:
                if re.search(after, line):
                    break
            time.sleep(chance.uniform(0, longest))
            victim = self._worker(chance, process.pid) if worker else process.pid
            if victim and process.poll() is None:
                os.kill(victim, signal.SIGKILL)
            rest = process.stdout.read().splitlines()
        self.ended = process.returncode == 0
        self._check_record()
        if not worker:
            return "" if self.ended else f"the run's process, {self._moment(rest)}"
        failures = [line for line in rest if "failed: the member's process ended" in line]
        return f"a worker: {failures[0].split(' failed')[0]}" if failures else ""

    def _worker(self, chance: random.Random, driver: int) -> int | None:
        """Return one of the processes that train members, None if there is none."""
        (path,) = self.root.glob("runs/*/run.json")
        members = json.loads(path.read_text())["members"]
        running = [one["process"] for one in members if one["status"] == "running"]
        return chance.choice(running) if running and driver not in running else None

    def _moment(self, rest: list[str]) -> str:
        """Say what a process that was killed did: a write that it left, or what it said last."""
        left = list(self.root.glob("runs/*/**/.*"))
        if left:
            return f"while it wrote {left[0].name.removeprefix('.').split('-')[0]}"
        return f"after {rest[-1][:40]!r}" if rest else "before the first epoch's end"


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
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    table = np.column_stack([labels, images])
    write_table(folder / "train.csv", SPEC.train_columns, table[:600])
    write_table(folder / "test.csv", SPEC.test_columns, images[600:800])
    return folder


def main() -> None:
    """Kill as often as asked, in as many runs as that takes; exit 1 if one ends differently."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--executor", choices=["serial", "processes"], default="serial")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        data = write_digits(Path(name) / "digits")
        whole = Subject(Path(name) / "whole", data, asked.epochs)
        started = time.monotonic()
        whole.finish()
        longest = (time.monotonic() - started) / 3
        kills, runs, wrong = 0, 0, list[str]()
        while kills < asked.kills:
            killed = Subject(Path(name) / f"killed-{runs}", data, asked.epochs, asked.executor)
            while kills < asked.kills and not killed.ended:
                worker = asked.executor == "processes" and kills % 2 == 1
                if told := killed.kill(chance, longest, worker):
                    kills += 1
                    print(f"kill {kills}: {told}", flush=True)
            killed.finish()
            runs += 1
            wrong += differences(whole.root, killed.root)
    print(f"{kills} kills in {runs} runs: {len(wrong)} files differ")
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
