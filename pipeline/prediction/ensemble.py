"""Checkpoints to probabilities: the mean of their softmax outputs.

Bfloat16 has 8 bits of precision: enough where the mean is sure of a label, not where two labels are
close. So the rows whose mean is in doubt are predicted again in float32, and have its labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report, ignore
from pipeline.data.dataset import Dataset
from pipeline.data.split import Split
from pipeline.networks import CLASSES
from pipeline.prediction.predictor import Predictor, load_checkpoint
from pipeline.runs import Run
from pipeline.training.hardware import exact_float32

DOUBT = 0.25
"""A row is in doubt where its highest mean probability leads the second by less than this.

Bfloat16 moved a single bn_cnn checkpoint's probabilities by at most 0.025 (`make bench
BENCH=inference`), a mean's of five by 0.006, and so a lead by at most twice as much, a fifth of
this.
"""


@dataclass(frozen=True)
class Voter:
    """A checkpoint, which rows of each array of images it predicts, and its weight in the mean.

    `told` is what a person reads while it predicts, before the file's name.
    """

    path: Path
    rows: tuple[NDArray[np.int64], ...]
    weight: float
    told: str


def predict(
    checkpoints: Sequence[Path], parts: Sequence[np.ndarray], precision: str, report: Report
) -> list[np.ndarray]:
    """Return the mean probabilities of the checkpoints for each array of images.

    Each of `parts` is uint8 [n, 28, 28, 1]; each result is float32 [n, 10], rows summing to 1.
    `precision` is the Keras dtype policy to predict in, but for rows in doubt. Raises
    PipelineError for no checkpoints, or one that cannot be loaded.
    """
    everything = tuple(np.arange(len(images)) for images in parts)
    return _vote(_voters(checkpoints, everything), parts, precision, report)


def out_of_fold(
    run: Run, splits: Sequence[Split], dataset: Dataset, precision: str, report: Report
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the validation rows, and mean probabilities for them and for the test rows.

    A member predicts the rows of its own fold, which it was not trained on, and all test rows;
    every member counts the same; rows of a fold whose members all failed are not among those
    returned. `splits` has one entry a fold, or one for a hold-out; `precision` is as for
    `predict`. The rows are int64 [n], ascending, the probabilities float32 [n, 10] and
    [tests, 10]. Raises PipelineError if another fold has no checkpoint, or one cannot be loaded.
    """
    members = run.record.usable_members
    _check_folds(run, len(splits), report)
    if len(members) < len(run.record.members):
        report(f"run {run.id}: {len(members)} of {len(run.record.members)} members predict")
    parts = [dataset.labelled.images, dataset.test_images]
    voters: list[Voter] = []
    for member in members:
        own = (splits[member.fold].validation_rows, np.arange(len(parts[1])))
        told = f"member {member.index + 1}/{len(run.record.members)}: " if len(members) > 1 else ""
        voters += _voters(run.checkpoint_paths(member), own, told)
    validation, test = _vote(voters, parts, precision, report)
    rows = np.unique(np.concatenate([voter.rows[0] for voter in voters]))
    return rows, validation[rows], test


def _voters(
    checkpoints: Sequence[Path], rows: tuple[NDArray[np.int64], ...], told: str = ""
) -> list[Voter]:
    """Return the checkpoints of one member, whose weights sum to 1."""
    if not checkpoints:
        raise PipelineError("there are no checkpoints to average; train for at least one epoch")
    count = len(checkpoints)
    return [
        Voter(path, rows, 1 / count, f"{told}predicting with checkpoint {number}/{count}: ")
        for number, path in enumerate(checkpoints, start=1)
    ]


def _vote(
    voters: Sequence[Voter], parts: Sequence[np.ndarray], precision: str, report: Report
) -> list[np.ndarray]:
    """Return the weighted means for each array of images, those of rows in doubt in float32."""
    means = _means(voters, parts, precision, report)
    if precision != "float32":
        doubtful = [_in_doubt(mean) for mean in means]
        report(f"predicting {sum(map(np.sum, doubtful)):,} rows in doubt again, in float32")
        restricted = [_restricted(voter, doubtful) for voter in voters]
        wanted = [voter for voter in restricted if any(map(len, voter.rows))]
        exact = _means(wanted, parts, "float32", ignore)
        for mean, again, rows in zip(means, exact, doubtful, strict=True):
            mean[rows] = again[rows]
    return means


def _means(
    voters: Sequence[Voter], parts: Sequence[np.ndarray], precision: str, report: Report
) -> list[np.ndarray]:
    """Return the weighted means, 0 in rows that no voter predicts."""
    sums = [np.zeros((len(images), CLASSES)) for images in parts]
    weights = [np.zeros((len(images), 1)) for images in parts]
    for voter in voters:
        report(f"{voter.told}{voter.path.name}")
        predictor = Predictor(load_checkpoint(voter.path), precision)
        for total, weight, images, rows in zip(sums, weights, parts, voter.rows, strict=True):
            with exact_float32():
                total[rows] += voter.weight * predictor(images[rows])
            weight[rows] += voter.weight
    return [
        np.divide(total, weight, out=total, where=weight > 0).astype(np.float32)
        for total, weight in zip(sums, weights, strict=True)
    ]


def _in_doubt(probabilities: np.ndarray) -> NDArray[np.bool_]:
    """Say which rows are in doubt; those that no voter predicts, all 0, are not."""
    second, first = np.partition(probabilities, -2)[:, -2:].T
    return np.asarray((first > 0) & (first - second < DOUBT))


def _restricted(voter: Voter, wanted: Sequence[NDArray[np.bool_]]) -> Voter:
    rows = (rows[mask[rows]] for rows, mask in zip(voter.rows, wanted, strict=True))
    return replace(voter, rows=tuple(rows))


def _check_folds(run: Run, folds: int, report: Report) -> None:
    """Raise PipelineError if a fold has no checkpoint yet; say so if it will never have one."""
    usable = {member.fold for member in run.record.usable_members}
    to_come = {member.fold for member in run.record.members if member.status != "failed"}
    missing = [fold for fold in range(folds) if fold not in usable]
    where = f" for fold {', '.join(str(fold + 1) for fold in missing)} of {folds}"
    if not usable or to_come.intersection(missing):
        raise PipelineError(
            f"run {run.id} has no checkpoint yet{where if folds > 1 else ''}; make train "
            f"RUN={run.id} continues it"
        )
    if missing:
        report(f"run {run.id} has no member{where}: those rows are not among the validation rows")
