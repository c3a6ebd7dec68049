"""Seconds of training to a given validation accuracy: recipes against the reference peers.

`python -m tests.bench.race notebook fast --digits data/practice --seeds 3` trains each side with
each seed on the default split, one side after the other for every seed. It keeps finished trainings
in runs/bench/race, so that a race of hours can be stopped and continued. The date of each training
is printed. A side's time is the sum of its epochs up to the first that reaches the target, each
with its validation, and on our side with writing the checkpoint. Of a side that keeps only its last
epoch, the last one must reach the target. A second time is what the training would take if every
epoch took as long as the fastest: tf.data's autotuner delays epochs of the peers, and other work on
the machine delays any.
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
from tests.bench.commands import train_in_new_folder, train_peer

PEERS = ("notebook", "fifteen")
TARGET = 0.9952
"""The last accuracy of a first training of the notebook on the default split.

The best accuracies of other trainings of it are close to this.
"""

RESULTS = Path("runs/bench/race")


def results(side: str, digits: Path) -> Path:
    """Return the folder of a side's histories.

    Other settings, code, digits, library versions or processors mean another folder. The peers'
    code includes networks.batch_norm_cnns, which holds the notebook's network.
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
        file = settings.network.file
        source = Path(file).read_text(encoding="utf-8") if file else None
        parts["code"] = code_fingerprint(settings.network.name, source)
        parts["recipe"] = settings.model_dump(mode="json", exclude={"network": {"file"}})
    return RESULTS / f"{Path(side).stem}-{provenance.hash_of(parts)[:8]}"


def train(side: str, seed: int, digits: Path) -> Path:
    """Return the history.csv of one side with one seed, trained if it is not there.

    The probabilities for test.csv are kept beside it, for tests.bench.paired.
    """
    target = results(side, digits) / f"{seed}.csv"
    if target.exists():
        return target
    if side in PEERS:
        with TemporaryDirectory() as name:
            train_peer(side, digits, Path(name), "--seed", str(seed), "--default-split")
            _keep_files(target, Path(name))
    else:
        settings = f"seed={seed} members.seeds=1 members.folds=0"
        keep = partial(_keep_files, target)
        train_in_new_folder(side, settings, digits, "serial", keep, stage="ensemble")
    return target


def _keep_files(target: Path, folder: Path) -> None:
    (predictions,), (history,) = folder.rglob("test.npz"), folder.rglob("history.csv")
    _keep(target.with_suffix(".npz"), predictions)
    _keep(target, history)


def _keep(target: Path, path: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(path, temporary)


def keeps_last_epoch_alone(side: str) -> bool:
    """Return whether a side keeps its last epoch only, however good an earlier one was."""
    if side in PEERS:
        return side == "fifteen"
    return recipe.load(side).checkpoints.keep_best == 0


def last_epoch_alone(history: pd.DataFrame) -> pd.DataFrame:
    """Return the history with an accuracy of 0 in every epoch but the last."""
    return history.assign(
        val_accuracy=history["val_accuracy"].where(history.index == history.index[-1], 0.0)
    )


def seconds_to(target: float, history: pd.DataFrame) -> float:
    """Return the seconds up to the first epoch that reaches `target`. Infinite if none does."""
    reached = history["val_accuracy"] >= target
    return float(history["seconds"].cumsum()[reached].min()) if reached.any() else math.inf


def seconds_at_best(target: float, history: pd.DataFrame) -> float:
    """Return `seconds_to` as if every epoch took as long as the fastest one of the history."""
    reached = history["val_accuracy"] >= target
    epochs = int(reached.argmax()) + 1 if reached.any() else math.inf
    return epochs * float(history["seconds"].min())


def _describe(side: str, seed: int, path: Path, times: list[float], target: float) -> str:
    history = pd.read_csv(path)
    accuracy, seconds = history["val_accuracy"], history["seconds"].sum()
    measured = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    as_measured, at_best = map(_format, times)
    return (
        f"{side}, seed {seed}: {as_measured} to {target} ({at_best} if every epoch were as fast as "
        f"its fastest); val_accuracy {accuracy.max():.5f} at best, {accuracy.iloc[-1]:.5f} at the "
        f"end; {len(history)} epochs in {seconds:,.0f} s, measured {measured:%Y-%m-%d %H:%M} UTC"
    )


def _format(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:,.0f} s"


def summary(times: dict[str, list[float]]) -> str:
    """Return a line per side: its median time, and the ratio to the first side's.

    A side that has no finite median, or whose first side has none, gets no ratio.
    """
    lines = []
    medians = {side: statistics.median(seconds) for side, seconds in times.items()}
    first, *_ = medians
    for side, median in medians.items():
        line = f"{side}: median of {len(times[side])} seeds {_format(median)}"
        if side != first and math.isfinite(median) and math.isfinite(medians[first]):
            line += f", {median / medians[first]:.3f} of {first}'s"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Race the sides, and print the times of each and their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", nargs="+", help="recipes (or paths), or notebook and fifteen")
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", type=float, default=TARGET)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {side: [] for side in arguments.sides}
    at_best: dict[str, list[float]] = {side: [] for side in arguments.sides}
    for seed in range(arguments.seeds):
        for side in arguments.sides:
            path = train(side, seed, arguments.digits.resolve())
            history = pd.read_csv(path)
            if keeps_last_epoch_alone(side):
                history = last_epoch_alone(history)
            times[side].append(seconds_to(arguments.target, history))
            at_best[side].append(seconds_at_best(arguments.target, history))
            last = [times[side][-1], at_best[side][-1]]
            print(_describe(side, seed, path, last, arguments.target), flush=True)
    print(summary(times))
    print(f"if every epoch were as fast as the fastest of its training\n{summary(at_best)}")


if __name__ == "__main__":
    main()
