"""Checkpoints to probabilities: the mean of their softmax outputs.

Bfloat16 has 8 bits of precision. That is enough where the mean is sure of a label, and not where
two labels are close. So the rows whose mean is in doubt are predicted again in float32, which
decides their labels.
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

Bfloat16 moved the probabilities of a single checkpoint by at most 0.025 with bn_cnn (`make bench
BENCH=inference`) and 0.049 with lstm_50, the most of all recipes. It moves a lead by at most twice
as much, two fifths of this.
"""


@dataclass(frozen=True)
class WeightedCheckpoint:
    """A checkpoint, the rows of each array of images that it predicts, and its weight in the mean.

    `label` is printed before the file's name while it predicts.
    """

    path: Path
    rows: tuple[NDArray[np.int64], ...]
    weight: float
    label: str


def predict(
    checkpoints: Sequence[Path], parts: Sequence[np.ndarray], precision: str, report: Report
) -> list[np.ndarray]:
    """Return the mean probabilities of the checkpoints for each array of images.

    Each of `parts` is uint8 [n, 28, 28, 1]. Each result is float32 [n, 10], with rows that sum to
    1. `precision` is the Keras dtype policy for all rows but those in doubt. Raises PipelineError
    for no checkpoints, or for one that cannot be loaded.
    """
    all_rows = tuple(np.arange(len(images)) for images in parts)
    return _weighted_means(_weighted(checkpoints, all_rows), parts, precision, report)


def out_of_fold(
    run: Run, splits: Sequence[Split], dataset: Dataset, precision: str, report: Report
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the validation rows, and the mean probabilities for them and for the test rows.

    A member predicts the rows of its own fold, which it was not trained on, and all test rows.
    Every member has the same weight. The rows of a fold whose members all failed are left out.
    `splits` has one entry per fold, or one for a hold-out. `precision` is as for `predict`. The
    rows are int64 [n], ascending, the probabilities float32 [n, 10] and [tests, 10]. Raises
    PipelineError if a fold has no checkpoint yet, or if a checkpoint cannot be loaded.
    """
    members, total = run.record.usable_members, len(run.record.members)
    _check_folds(run, len(splits), report)
    if len(members) < total:
        report(f"run {run.id}: {len(members)} of {total} members predict")
    parts = [dataset.labelled.images, dataset.test_images]
    checkpoints: list[WeightedCheckpoint] = []
    for member in members:
        rows = (splits[member.fold].validation_rows, np.arange(len(parts[1])))
        label = f"member {member.index + 1}/{total}: " if len(members) > 1 else ""
        checkpoints += _weighted(run.checkpoint_paths(member), rows, label)
    validation, test = _weighted_means(checkpoints, parts, precision, report)
    rows_predicted = np.unique(np.concatenate([one.rows[0] for one in checkpoints]))
    return rows_predicted, validation[rows_predicted], test


def _weighted(
    paths: Sequence[Path], rows: tuple[NDArray[np.int64], ...], label: str = ""
) -> list[WeightedCheckpoint]:
    """Return the checkpoints of one member, with weights that sum to 1."""
    if not paths:
        raise PipelineError("there are no checkpoints to average; train for at least one epoch")
    count = len(paths)
    return [
        WeightedCheckpoint(
            path, rows, 1 / count, f"{label}predicting with checkpoint {n}/{count}: "
        )
        for n, path in enumerate(paths, start=1)
    ]


def _weighted_means(
    checkpoints: Sequence[WeightedCheckpoint],
    parts: Sequence[np.ndarray],
    precision: str,
    report: Report,
) -> list[np.ndarray]:
    """Return the weighted means for each array of images. Rows in doubt are those of float32."""
    means = _means(checkpoints, parts, precision, report)
    if precision != "float32":
        doubtful = [_in_doubt(mean) for mean in means]
        report(f"predicting {sum(map(np.sum, doubtful)):,} rows in doubt again, in float32")
        restricted = [_restrict(one, doubtful) for one in checkpoints]
        needed = [one for one in restricted if any(map(len, one.rows))]
        exact_means = _means(needed, parts, "float32", ignore)
        for mean, exact, rows in zip(means, exact_means, doubtful, strict=True):
            mean[rows] = exact[rows]
    return means


def _means(
    checkpoints: Sequence[WeightedCheckpoint],
    parts: Sequence[np.ndarray],
    precision: str,
    report: Report,
) -> list[np.ndarray]:
    """Return the weighted means, 0 in rows that no checkpoint predicts."""
    sums = [np.zeros((len(images), CLASSES)) for images in parts]
    weights = [np.zeros((len(images), 1)) for images in parts]
    for one in checkpoints:
        report(f"{one.label}{one.path.name}")
        predictor = Predictor(load_checkpoint(one.path), precision)
        for total, weight, images, rows in zip(sums, weights, parts, one.rows, strict=True):
            with exact_float32():
                total[rows] += one.weight * predictor(images[rows])
            weight[rows] += one.weight
    return [
        np.divide(total, weight, out=total, where=weight > 0).astype(np.float32)
        for total, weight in zip(sums, weights, strict=True)
    ]


def _in_doubt(probabilities: np.ndarray) -> NDArray[np.bool_]:
    """Return which rows are in doubt. Rows that no checkpoint predicts, all 0, are not."""
    second, first = np.partition(probabilities, -2)[:, -2:].T
    return np.asarray((first > 0) & (first - second < DOUBT))


def _restrict(
    checkpoint: WeightedCheckpoint, masks: Sequence[NDArray[np.bool_]]
) -> WeightedCheckpoint:
    """Return the checkpoint with only those of its rows that the masks contain."""
    rows = (rows[mask[rows]] for rows, mask in zip(checkpoint.rows, masks, strict=True))
    return replace(checkpoint, rows=tuple(rows))


def _check_folds(run: Run, folds: int, report: Report) -> None:
    """Raise PipelineError if a fold has no checkpoint yet. Report it if it will never have one."""
    usable = {member.fold for member in run.record.usable_members}
    unfinished = {member.fold for member in run.record.members if member.status != "failed"}
    missing = [fold for fold in range(folds) if fold not in usable]
    where = f" for fold {', '.join(str(fold + 1) for fold in missing)} of {folds}"
    if not usable or unfinished.intersection(missing):
        raise PipelineError(
            f"run {run.id} has no checkpoint yet{where if folds > 1 else ''}; {run.continuation} "
            "continues it"
        )
    if missing:
        report(f"run {run.id} has no member{where}: its rows are not among the validation rows")
