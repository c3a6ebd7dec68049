"""Seconds of training to a given validation accuracy: recipes against the reference peers.

`python -m tests.bench.race notebook fast --digits data/practice --seeds 3` trains each side with
each seed on the default split, the sides in turn. What is trained already, in runs/bench/race, is
not trained again, so that a race of hours can be ended and gone on with: look at when each was
measured. The time is the sum of the epochs' up to the first that reaches the target, each with its
validation, ours with writing the checkpoint; of a side that keeps its last epoch alone, that one
must reach it. Beside it stands what it were if every epoch took as long as the fastest of its
training: tf.data's autotuner holds up peers' epochs, and other work on the machine any.
"""

import argparse
import math
import os
import shutil
import statistics
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from pipeline import recipe
from pipeline.common import provenance
from pipeline.common.files import replacing
from pipeline.data.digits import fingerprint
from pipeline.stages.identity import PACKAGE, code_fingerprint
from tests.bench import processor
from tests.bench.commands import train_in_a_new_folder, train_peer

PEERS = ("notebook", "fifteen")
TARGET = 0.9952
"""What a first training of the notebook ended with on the default split; others' best are near."""

RESULTS = Path("runs/bench/race")


def results(side: str, digits: Path) -> Path:
    """Return the folder of a side's histories.

    It is another one for other settings, code, digits, library versions or processors. The peers'
    code includes networks.competition, where the notebook's is.
    """
    parts: dict[str, Any] = {
        "data": fingerprint(digits / "train.csv", digits / "test.csv"),
        "versions": provenance.versions(),
        "machine": [processor.name(), os.cpu_count()],
    }
    if side in PEERS:
        files = [Path(__file__).with_name(f"{name}.py") for name in ("peer", *PEERS)]
        files.append(PACKAGE / "networks" / "batch_norm_cnns.py")
        parts["code"] = [path.read_text() for path in files]
    else:
        settings = recipe.load(side)
        parts["code"] = code_fingerprint(settings.network.name)
        parts["recipe"] = settings.model_dump(mode="json")
    return RESULTS / f"{side}-{provenance.hash_of(parts)[:8]}"


def train(side: str, seed: int, digits: Path) -> Path:
    """Train one side with one seed, if that is not done; return its history.csv.

    A peer's probabilities for test.csv stay beside it (tests.bench.paired).
    """
    target = results(side, digits) / f"{seed}.csv"
    if target.exists():
        return target
    if side in PEERS:
        with TemporaryDirectory() as name:
            train_peer(side, digits, Path(name), "--seed", str(seed), "--default-split")
            _keep(target.with_suffix(".npz"), Path(name) / "test.npz")
            _keep_history(target, Path(name))
    else:
        settings = f"seed={seed} members.seeds=1 members.folds=0"
        train_in_a_new_folder(side, settings, digits, "serial", partial(_keep_history, target))
    return target


def _keep_history(target: Path, folder: Path) -> None:
    (found,) = folder.rglob("history.csv")
    _keep(target, found)


def _keep(target: Path, found: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(found, temporary)


def keeps_last_epoch_alone(side: str) -> bool:
    """Return whether an earlier epoch of a side, however good, is lost."""
    if side in PEERS:
        return side == "fifteen"
    return recipe.load(side).checkpoints.keep_best == 0


def last_epoch_alone(history: pd.DataFrame) -> pd.DataFrame:
    """Return the history with an accuracy of 0 in every epoch but the last."""
    return history.assign(
        val_accuracy=history["val_accuracy"].where(history.index == history.index[-1], 0.0)
    )


def seconds_to(target: float, history: pd.DataFrame) -> float:
    """Return the seconds from a history's start to its first epoch of `target`; infinite: never."""
    reached = history["val_accuracy"] >= target
    return float(history["seconds"].cumsum()[reached].min()) if reached.any() else float("inf")


def seconds_at_best(target: float, history: pd.DataFrame) -> float:
    """Return `seconds_to`, were every epoch as fast as the history's fastest."""
    reached = history["val_accuracy"] >= target
    epochs = int(reached.argmax()) + 1 if reached.any() else math.inf
    return epochs * float(history["seconds"].min())


def _describe(side: str, seed: int, path: Path, times: list[float], target: float) -> str:
    history = pd.read_csv(path)
    accuracy, seconds = history["val_accuracy"], history["seconds"].sum()
    measured = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    taken, at_best = map(_told, times)
    return (
        f"{side}, seed {seed}: {taken} to {target} (at its fastest epoch's pace {at_best}); best "
        f"{accuracy.max():.5f}, last {accuracy.iloc[-1]:.5f}, {len(history)} epochs in "
        f"{seconds:,.0f} s, measured {measured:%Y-%m-%d %H:%M}"
    )


def _told(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:,.0f} s"


def summary(times: dict[str, list[float]]) -> str:
    """Return the median of each side's times, its share of the first's if both are finite."""
    lines = []
    medians = {side: statistics.median(seconds) for side, seconds in times.items()}
    first, *_ = medians
    for side, median in medians.items():
        line = f"{side}: median of {len(times[side])} seeds {_told(median)}"
        if side != first and math.isfinite(median) and math.isfinite(medians[first]):
            line += f", {median / medians[first]:.3f} of {first}'s"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Race the sides, and print each one's times and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", nargs="+", help="recipes, or notebook and fifteen")
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", type=float, default=TARGET)
    asked = parser.parse_args()
    times: dict[str, list[float]] = {side: [] for side in asked.sides}
    at_best: dict[str, list[float]] = {side: [] for side in asked.sides}
    for seed in range(asked.seeds):
        for side in asked.sides:
            path = train(side, seed, asked.digits.resolve())
            history = pd.read_csv(path)
            if keeps_last_epoch_alone(side):
                history = last_epoch_alone(history)
            times[side].append(seconds_to(asked.target, history))
            at_best[side].append(seconds_at_best(asked.target, history))
            taken = [times[side][-1], at_best[side][-1]]
            print(_describe(side, seed, path, taken, asked.target), flush=True)
    print(summary(times))
    print(f"at the pace of each one's fastest epoch\n{summary(at_best)}")


if __name__ == "__main__":
    main()
