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
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from pipeline import provenance, recipe
from pipeline.digits import fingerprint
from pipeline.files import replacing
from tests.bench.commands import train_in_a_new_folder, train_peer

PEERS = ("notebook", "fifteen")
TARGET = 0.9952
"""The validation accuracy that the notebook ends with on the default split."""

RESULTS = Path("runs/bench/race")


def results(side: str, digits: Path) -> Path:
    """Return the folder of a side's histories: another one for other settings, code or digits."""
    data = fingerprint(digits / "train.csv", digits / "test.csv")
    parts: dict[str, Any]
    if side in PEERS:
        files = [Path(__file__).with_name(f"{name}.py") for name in ("peer", *PEERS)]
        code = [path.read_text() for path in files]
        parts = {"data": data, "code": code}
    else:
        parts = {
            "data": data,
            "code": provenance.code_fingerprint(),
            "recipe": recipe.load(side).model_dump(mode="json"),
        }
    return RESULTS / f"{side}-{provenance.identity(parts)[:8]}"


def train(side: str, seed: int, digits: Path) -> Path:
    """Train one side with one seed, if that is not done; return its history.csv."""
    target = results(side, digits) / f"{seed}.csv"
    if target.exists():
        return target
    if side in PEERS:
        with TemporaryDirectory() as name:
            train_peer(side, digits, Path(name), "--seed", str(seed), "--default-split")
            _keep(target, Path(name))
    else:
        settings = f"seed={seed} members.seeds=1 members.folds=0"
        train_in_a_new_folder(side, settings, digits, "serial", partial(_keep, target))
    return target


def _keep(target: Path, folder: Path) -> None:
    (found,) = folder.rglob("history.csv")
    with replacing(target) as temporary:
        shutil.copyfile(found, temporary)


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
        folder = results(side, asked.digits)
        times = [seconds_to(asked.target, folder / f"{seed}.csv") for seed in range(asked.seeds)]
        print(f"{side}: median of {asked.seeds} seeds {statistics.median(times):,.0f} s")


if __name__ == "__main__":
    main()
