"""Checkpoints to probabilities: the mean of their softmax outputs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.dataset import Dataset
from pipeline.errors import PipelineError
from pipeline.networks import CLASSES
from pipeline.prediction import load_checkpoint, probabilities
from pipeline.progress import Report
from pipeline.runs import Run
from pipeline.split import Split


def predict(
    checkpoints: Sequence[Path], parts: Sequence[np.ndarray], precision: str, report: Report
) -> list[np.ndarray]:
    """Return the mean probabilities of the checkpoints for each array of images.

    Each of `parts` is uint8 [n, 28, 28, 1]; each result is float32 [n, 10], rows summing to 1.
    `precision` is the Keras dtype policy to predict in, but for rows in doubt (prediction.py).
    Raises PipelineError for no checkpoints, or one that cannot be loaded.
    """
    if not checkpoints:
        raise PipelineError("there are no checkpoints to average; train for at least one epoch")
    sums = [np.zeros((len(images), CLASSES)) for images in parts]
    for number, path in enumerate(checkpoints, start=1):
        report(f"predicting with checkpoint {number}/{len(checkpoints)}: {path.name}")
        network = load_checkpoint(path)
        for total, images in zip(sums, parts, strict=True):
            total += probabilities(network, images, precision)
    return [(total / len(checkpoints)).astype(np.float32) for total in sums]


def out_of_fold(
    run: Run, splits: Sequence[Split], dataset: Dataset, precision: str, report: Report
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the validation rows, and mean probabilities for them and for the test rows.

    A member predicts the rows of its own fold, which it was not trained on, and all test rows;
    every network counts the same; rows of a fold whose members all failed are not among those
    returned. `splits` has one entry a fold, or one for a hold-out; `precision` is as for
    `predict`. The rows are int64 [n],
    ascending, the probabilities float32 [n, 10] and [tests, 10]. Raises PipelineError if another
    fold has no checkpoint, or one cannot be loaded.
    """
    images, tests = dataset.labelled.images, dataset.test_images
    sums, counts = np.zeros((len(images), CLASSES)), np.zeros(len(images), np.int64)
    test_sum = np.zeros((len(tests), CLASSES))
    members = run.record.usable_members
    _check_folds(run, len(splits), report)
    if len(members) < len(run.record.members):
        report(f"run {run.id}: {len(members)} of {len(run.record.members)} members predict")
    for member in members:
        rows = splits[member.fold].validation_rows
        if len(members) > 1:
            report(f"member {member.index + 1}/{len(run.record.members)}:")
        own, test = predict(run.checkpoint_paths(member), [images[rows], tests], precision, report)
        sums[rows] += own
        counts[rows] += 1
        test_sum += test
    rows = np.flatnonzero(counts)
    validation = sums[rows] / counts[rows, None]
    return rows, validation.astype(np.float32), (test_sum / len(members)).astype(np.float32)


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


def average(runs: Sequence[Run]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the validation and test arrays of several runs' ensemble.

    Every checkpoint of every run counts the same. The arrays are named as in validation.npz and
    test.npz. Raises PipelineError if the runs differ in data, split, rows or classes.
    """
    first = runs[0]
    for run in runs[1:]:
        _check_alike(first, run)
    weights = [run.record.checkpoint_count for run in runs]
    parts = []
    for name in ("validation", "test"):
        loaded = [run.load_arrays(name) for run in runs]
        for run, arrays in zip(runs, loaded, strict=True):
            _check_rows(name, first, loaded[0], run, arrays)
        stacked = [arrays["probabilities"] for arrays in loaded]
        mean = np.average(stacked, axis=0, weights=weights).astype(np.float32)
        parts.append({**loaded[0], "probabilities": mean})
    return parts[0], parts[1]


def _check_alike(first: Run, other: Run) -> None:
    for field, what in (("data_fingerprint", "data"), ("split_fingerprint", "split")):
        ours, theirs = getattr(first.record, field), getattr(other.record, field)
        if ours != theirs:
            raise PipelineError(
                f"RUN names {first.id} and {other.id}, whose {what} differ ({ours[:12]} and "
                f"{theirs[:12]}); only runs on the same data and split can be averaged"
            )


def _check_rows(
    name: str, first: Run, ours: dict[str, np.ndarray], other: Run, theirs: dict[str, np.ndarray]
) -> None:
    if len(ours["rows"]) != len(theirs["rows"]):
        raise PipelineError(
            f"RUN names {first.id} and {other.id}, which predict {len(ours['rows']):,} and "
            f"{len(theirs['rows']):,} validation rows, as all members of a fold failed; train that "
            'one to its end (SET="members.required=<all>"), or average others'
        )
    same = ours.keys() == theirs.keys() and all(
        np.array_equal(ours[key], theirs[key]) for key in ours if key != "probabilities"
    )
    if not same or ours["probabilities"].shape != theirs["probabilities"].shape:
        raise PipelineError(
            f"{name}.npz of {first.id} and {other.id} hold different rows or classes; make them "
            "again with make ensemble RUN=<id> FORCE=1"
        )
