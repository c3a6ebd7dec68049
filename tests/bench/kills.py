"""Kills a run at random moments: does it end with the same numbers as one that was never stopped?

`python -m tests.bench.kills --kills 20` trains one run undisturbed. It then trains the same run in
other folders, kills it with SIGKILL (kill -9) and continues it until there are 20 kills, and
compares all numbers. The data are 600 digits of MNIST. With `--executor processes` or `ray` every
second kill hits a worker in place of the process that holds the run.
"""

import argparse
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.runs import SCRATCH_FOLDER
from tests.bench.commands import write_digits
from tests.commands import Command, command

SETTINGS = (
    "training.epochs={epochs} training.batch_size=50 training.learning_rate=0.004 members.folds=2 "
    "training.deterministic=true members.retries=9 "
    "reduce_on_plateau.patience=1 early_stopping.patience=30 "
    "checkpoints.keep_best=1 checkpoints.keep_last=1"
)

BEGUN = "continuing after|training on|predicting"
"""Matches what is printed when a member, or the prediction, begins."""

WORKER_LOST = "failed: the member's (process ended|Ray task was lost)"


@dataclass
class Subject:
    """A folder in which the run is trained. `ended` says whether it has come to its end."""

    root: Path
    data: Path
    epochs: int = 40
    executor: str = "serial"
    ended: bool = False

    def start(self) -> AbstractContextManager[Command]:
        """Start the run and its ensemble, or continue them."""
        settings = SETTINGS.format(epochs=self.epochs)
        arguments = ["--recipe", "quick", "--set", settings, "--source", str(self.data)]
        return command(self.root, "ensemble", *arguments, "--executor", self.executor)

    def finish(self) -> str:
        """Train to the end and return what was printed. Raises AssertionError if that fails."""
        with self.start() as running:
            return running.finish()

    def kill(
        self, generator: random.Random, longest: float, worker: bool = False, after: str = BEGUN
    ) -> str:
        """Continue the run, and kill its process, or one of its workers, at a random moment.

        The moment is at most `longest` seconds after a printed line that matches `after`. Returns
        what was killed, or an empty text if the run ended before. A run whose worker was killed
        continues to its end. Raises RuntimeError if run.json then names a lost checkpoint.
        """
        with self.start() as running:
            process = running.process
            assert process.stdout
            for line in process.stdout:
                if re.search(after, line):
                    break
            time.sleep(generator.uniform(0, longest))
            victim = self._worker(generator, process.pid) if worker else process.pid
            if victim and process.poll() is None:
                os.kill(victim, signal.SIGKILL)
            rest = process.stdout.read().splitlines()
            self.ended = process.wait() == 0
        self._check_record()
        if not worker:
            return "" if self.ended else f"the run's process, {self._moment(rest)}"
        failures = [line for line in rest if re.search(WORKER_LOST, line)]
        return f"the worker of {failures[0].split(' failed')[0]}" if failures else ""

    def _worker(self, generator: random.Random, driver: int) -> int | None:
        """Return the id of a process that trains a member, None if there is none."""
        (path,) = self.root.glob("runs/*/run.json")
        members = json.loads(path.read_text())["members"]
        workers = [member["process"] for member in members if member["status"] == "running"]
        return generator.choice(workers) if workers and driver not in workers else None

    def _check_record(self) -> None:
        """Raise RuntimeError if run.json names a checkpoint that is not there."""
        for path in self.root.glob("runs/*/run.json"):
            for member in json.loads(path.read_text())["members"]:
                folder = path.parent / "members" / str(member["index"]) / "checkpoints"
                files = [checkpoint["file"] for checkpoint in member["checkpoints"]]
                lost = [file for file in files if not (folder / file).exists()]
                if lost:
                    raise RuntimeError(f"{path} names {lost}, which are not in {folder}")

    def _moment(self, rest: list[str]) -> str:
        """Return what the killed process did: the write it left unfinished, or its last line."""
        hidden = self.root.glob("runs/*/**/.*")
        unfinished = [path for path in hidden if not path.name.startswith(SCRATCH_FOLDER)]
        if unfinished:
            return f"while it wrote {unfinished[0].name.removeprefix('.').split('-')[0]}"
        return f"after it printed {rest[-1][:40]!r}" if rest else "before the end of an epoch"


def differences(first: Path, second: Path) -> list[str]:
    """Return a line for every file of two run folders whose numbers are not exactly the same.

    Seconds in a history, and the date in a checkpoint, may differ.
    """
    names = {
        path.relative_to(root)
        for root in (first, second)
        for path in (root / "runs").rglob("*")
        if path.suffix in (".csv", ".npz", ".keras") and not path.name.startswith(".")
    }
    lines = []
    for name in sorted(names):
        if not ((first / name).exists() and (second / name).exists()):
            lines.append(f"{name} is in one folder only")
        elif not _equal(first / name, second / name):
            lines.append(f"{name} differs")
    return lines


def _equal(first: Path, second: Path) -> bool:
    """Return whether two files of the same kind hold the same numbers."""
    import keras

    if first.suffix == ".csv":
        one, other = (pd.read_csv(path).drop(columns="seconds") for path in (first, second))
        return bool(one.equals(other))
    if first.suffix == ".npz":
        arrays, others = (dict(np.load(path)) for path in (first, second))
    else:
        arrays, others = (
            dict(enumerate(keras.saving.load_model(path, compile=False).get_weights()))
            for path in (first, second)
        )
    return arrays.keys() == others.keys() and all(
        np.array_equal(array, others[key]) for key, array in arrays.items()
    )


def main() -> None:
    """Kill as often as `--kills` says, in as many runs as that takes. Exit 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--executor", choices=["serial", "processes", "ray"], default="serial")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "digits"
        write_digits(data, rows=600, test_rows=200)
        whole = Subject(Path(name) / "whole", data, arguments.epochs)
        started = time.monotonic()
        whole.finish()
        longest = (time.monotonic() - started) / 3
        kills, runs, lines = 0, 0, list[str]()
        while kills < arguments.kills:
            root = Path(name) / f"killed-{runs}"
            killed = Subject(root, data, arguments.epochs, arguments.executor)
            while kills < arguments.kills and not killed.ended:
                worker = arguments.executor != "serial" and kills % 2 == 1
                if victim := killed.kill(generator, longest, worker):
                    kills += 1
                    print(f"kill {kills}: {victim}", flush=True)
            killed.finish()
            runs += 1
            lines += differences(whole.root, killed.root)
    print(f"{kills} kills in {runs} runs: {len(lines)} files differ")
    for line in lines:
        print(line)
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
