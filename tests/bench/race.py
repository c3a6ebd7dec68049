"""Seconds of training to a given validation accuracy: recipes against the reference peers.

`python -m tests.bench.race notebook fast --digits data/practice --seeds 3` trains each side with
each seed on the default split, the sides in turn. What is trained already, in runs/bench/race, is
not trained again, so that a race of hours can be ended and gone on with. The time counts from the
first epoch's start to the end of the first epoch that reaches the target, with its validation.
"""

import argparse
import shutil
import statistics
from functools import partial
from pathlib import Path

import pandas as pd

from tests.bench.commands import train_in_a_new_folder, train_peer

PEERS = ("notebook", "fifteen")
TARGET = 0.9952
"""The validation accuracy that the notebook ends with on the default split."""

RESULTS = Path("runs/bench/race")


def train(side: str, seed: int, digits: Path) -> Path:
    """Train one side with one seed, if that is not done; return its history.csv."""
    target = RESULTS / side / f"{seed}.csv"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    if side in PEERS:
        partial_folder = target.with_suffix(".partial")
        train_peer(side, digits, partial_folder.resolve(), "--seed", str(seed))
        (partial_folder / "0" / "history.csv").replace(target)
        shutil.rmtree(partial_folder)
    else:
        settings = f"seed={seed} members.seeds=1 members.folds=0"
        train_in_a_new_folder(side, settings, digits, "serial", partial(_keep, target))
    return target


def _keep(target: Path, folder: Path) -> None:
    (found,) = folder.glob("runs/*/members/0/history.csv")
    shutil.copyfile(found, target)


def seconds_to(target: float, path: Path) -> float:
    """Return the seconds from a history's start to its first epoch of `target`; infinite: never."""
    history = pd.read_csv(path)
    reached = history["val_accuracy"] >= target
    return float(history["seconds"].cumsum()[reached].min()) if reached.any() else float("inf")


def _describe(side: str, seed: int, path: Path, target: float) -> str:
    history = pd.read_csv(path)
    accuracy, seconds = history["val_accuracy"], history["seconds"].sum()
    return (
        f"{side}, seed {seed}: {target} after {seconds_to(target, path):,.0f} s; best "
        f"{accuracy.max():.5f}, last {accuracy.iloc[-1]:.5f}, {len(history)} epochs in "
        f"{seconds:,.0f} s"
    )


def main() -> None:
    """Race the sides, and print each one's times and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", nargs="+", help="recipes, or notebook and fifteen")
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", type=float, default=TARGET)
    asked = parser.parse_args()
    for seed in range(asked.seeds):
        for side in asked.sides:
            path = train(side, seed, asked.digits.resolve())
            print(_describe(side, seed, path, asked.target), flush=True)
    for side in asked.sides:
        paths = [RESULTS / side / f"{seed}.csv" for seed in range(asked.seeds)]
        times = [seconds_to(asked.target, path) for path in paths]
        print(f"{side}: median of {asked.seeds} seeds {statistics.median(times):,.0f} s")


if __name__ == "__main__":
    main()
