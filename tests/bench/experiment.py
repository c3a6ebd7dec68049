"""One recipe against another, sharply: two folds, four seeds, judged on all 42,000 labelled rows.

    python -m tests.bench.experiment champion "champion augmentation.shear_range=0" \\
        --title "No shear" --expected "as many errors, as digits lean by themselves"

A side is a recipe with changes, as `SET` takes them. Each side trains eight networks: for each of
two folds of 21,000 rows (practice permutation 0) four, of which each predicts the fold that it did
not see. A side takes about 12 minutes for `champion` on two cores. Networks that are trained once
are used again, in the next experiment too, so a command that was stopped continues.

The expectation goes into tests/bench/LOG.md before anything is trained, the figures afterwards.
Hidden rows are not read.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import recipe
from pipeline.common import files, provenance
from pipeline.common.progress import ignore
from pipeline.common.startup import quiet_start
from pipeline.data.dataset import DataFiles, Dataset, open_dataset
from pipeline.data.split import k_folds
from pipeline.evaluation.statistics.difference import Difference, difference
from pipeline.runs import Run
from pipeline.runs.store import RunStore
from pipeline.stages.identity import code_fingerprint
from tests.bench.log_entries import expect, record
from tests.commands import REPOSITORY

FOLDS = 2
SEEDS = 4
FOLDER = Path("runs/bench/experiment")
SIGNIFICANT = 0.05

Probabilities = NDArray[np.float32]
"""Of single networks for rows that they did not see, float32 [seeds, rows, 10]."""


@dataclass(frozen=True)
class Side:
    """A recipe with changes. `text` is both in one line, as "champion training.epochs=8"."""

    text: str

    @property
    def settings(self) -> str:
        """The changes, with the folds and seeds of every experiment."""
        changes = self.text.partition(" ")[2]
        members = f"members.folds={FOLDS} members.seeds={SEEDS} members.required={FOLDS * SEEDS}"
        return f"{changes} {members}".strip()

    @property
    def recipe(self) -> recipe.Recipe:
        """The recipe as it is trained."""
        return recipe.load(self.text.partition(" ")[0], self.settings)


def train(side: Side, folder: Path) -> Run:
    """Return the run of a side, trained or continued as `make train` does."""
    command = [sys.executable, "-m", "pipeline", "train", "--source", "practice"]
    command += ["--recipe", side.text.partition(" ")[0], "--set", side.settings]
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)
    code = code_fingerprint(side.recipe.network.name)
    *_, run = (
        run
        for run in RunStore(folder / "runs").all()
        if run.record.kind == "training"
        and (run.record.recipe, run.record.code_fingerprint) == (side.recipe, code)
    )
    return run


def predictions(run: Run, dataset: Dataset, folder: Path) -> Probabilities:
    """Return what each seed's networks predict for the fold that they did not see."""
    path = folder / "predictions" / f"{run.id}.npy"
    if path.exists():
        return np.asarray(np.load(path))
    with quiet_start():
        from pipeline.prediction.ensemble import predict
    images, labels = dataset.labelled.images, dataset.labelled.labels
    settings = run.training.recipe
    splits = k_folds(labels, FOLDS, settings.split.seed, dataset.fingerprint)
    found = np.zeros((SEEDS, len(labels), 10), np.float32)
    for member in run.training.members:
        rows = splits[member.fold].validation_rows
        checkpoints = run.checkpoint_paths(member)
        (found[member.index // FOLDS, rows],) = predict(
            checkpoints, [images[rows]], "float32", ignore
        )
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, found)
    return found


def correct(probabilities: Probabilities, labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which rows are predicted correctly, bool, of the shape without the classes."""
    return np.asarray(probabilities.argmax(axis=-1) == labels)


def describe(sides: list[Side], each: list[Probabilities], labels: NDArray[np.uint8]) -> str:
    """Return the figures of an experiment: errors of single networks, and of the mean of four."""
    first, second = (correct(one, labels) for one in each)
    counts = [(~one).sum(axis=1) for one in (first, second)]
    means = [correct(one.mean(axis=0), labels)[np.newaxis] for one in each]
    errors = [int((~one).sum()) for one in means]
    singles, together = difference(second, first), difference(means[1], means[0])
    lines = [
        f"A: `{sides[0].text}`. B: `{sides[1].text}`. Commit {_commit()}.",
        f"Single networks, errors in {labels.size:,} rows: A {counts[0].mean():.1f} "
        f"({_listed(counts[0])}), B {counts[1].mean():.1f} ({_listed(counts[1])}); B makes "
        f"{_relative(singles, counts[0].mean(), labels.size)}.",
        f"Mean of {SEEDS}: A {errors[0]}, B {errors[1]}; only A is right on {together.only_b} "
        f"rows, only B on {together.only_a}; p = {together.p_value:.2g}.",
        f"Decision: {decision(singles)}.",
    ]
    return "\n".join(lines)


def decision(singles: Difference) -> str:
    """Return what follows: B is taken only where its single networks are better beyond chance."""
    if singles.p_value < SIGNIFICANT:
        return "B is better, taken" if singles.difference > 0 else "B is worse, dropped"
    return "no difference seen, not taken"


def _commit() -> str:
    state = provenance.git_state()
    if not state:
        return "unknown"
    return f"{state['commit'][:7]}{', with changes' if state['dirty'] else ''}"


def _listed(counts: NDArray[np.int64]) -> str:
    return ", ".join(map(str, counts))


def _relative(found: Difference, errors: float, rows: int) -> str:
    """Return a difference in accuracy as a change of the number of errors, with its interval."""
    change, low, high = (
        -100 * rows * value / errors
        for value in (found.difference, found.interval.high, found.interval.low)
    )
    interval = f"95 % interval {low:+.1f} to {high:+.1f}"
    return f"{change:+.1f} % errors ({interval}; p = {found.p_value:.2g})"


def main() -> None:
    """Train both sides where they are not trained yet, print the figures, and log them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sides", nargs=2, metavar="SIDE", type=Side, help="recipe key=value ...")
    parser.add_argument("--title", required=True)
    parser.add_argument("--expected", required=True, help="what you expect to see")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    expect(arguments.title, arguments.expected)
    runs = [train(side, arguments.folder) for side in arguments.sides]
    data = arguments.folder / "data" / "practice"
    dataset = open_dataset(DataFiles(data / "train.csv", data / "test.csv"))
    each = [predictions(run, dataset, arguments.folder) for run in runs]
    figures = describe(arguments.sides, each, dataset.labelled.labels)
    print(figures)
    record(arguments.title, figures)


if __name__ == "__main__":
    main()
