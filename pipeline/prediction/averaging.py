"""Several runs to one ensemble: the mean of their stored probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.runs import Arrays, Run


@dataclass(frozen=True)
class Average:
    """The mean of several runs: its arrays, and `base`, the run whose validation rows it has."""

    base: Run
    validation: Arrays
    test: Arrays


def average(runs: Sequence[Run]) -> Average:
    """Return the ensemble of several runs.

    It averages stored probabilities: a row that is in doubt only in the mean of all runs is not
    predicted again. The weight of a run is its number of checkpoints. The validation rows are those
    that all runs predict, so a run with folds can be averaged with one on a hold-out. There only
    one fold of that run predicts a row, with the weight of all folds, which makes the validation
    score too low. Raises PipelineError if the runs differ in data, or if no run was
    validated on exactly the common rows.
    """
    _check_data(runs)
    validation, test = ([run.load_arrays(name) for run in runs] for name in ("validation", "test"))
    rows = reduce(np.intersect1d, [arrays["rows"] for arrays in validation])
    base = _base(runs, validation, rows)
    shared = [_select(arrays, rows) for arrays in validation]
    weights = [run.record.checkpoint_count for run in runs]
    return Average(base, _mean(runs, shared, weights), _mean(runs, test, weights))


def _check_data(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs:
        if not run.record.checkpoint_count:
            raise PipelineError(
                f"{run.folder / 'run.json'} names no checkpoint, by whose number runs are "
                "weighted; train the run again with FORCE=1"
            )
        ours, theirs = first.record.data_fingerprint, run.record.data_fingerprint
        if ours != theirs:
            raise PipelineError(
                f"RUN names {first.id} and {run.id}, whose data differ ({ours[:12]} and "
                f"{theirs[:12]}); only runs on the same data can be averaged"
            )


def _base(runs: Sequence[Run], validation: Sequence[Arrays], rows: NDArray[np.int64]) -> Run:
    """Return the first run that was validated on exactly these rows. Raises PipelineError."""
    for run, arrays in zip(runs, validation, strict=True):
        if len(arrays["rows"]) == len(rows):
            return run
    names = ", ".join(run.id for run in runs)
    raise PipelineError(
        f"RUN names {names}, which have {len(rows):,} validation rows in common; average runs on "
        "one split, or runs with folds together with runs on one split; where all members of a "
        'fold failed, train that run to its end (SET="members.required=<all>")'
    )


def _select(arrays: Arrays, rows: NDArray[np.int64]) -> Arrays:
    """Return the entries of the given rows. Both lists of rows are ascending."""
    positions = np.searchsorted(arrays["rows"], rows)
    return {name: array[positions] for name, array in arrays.items()}


def _mean(runs: Sequence[Run], loaded: Sequence[Arrays], weights: Sequence[int]) -> Arrays:
    first = loaded[0]
    for run, arrays in zip(runs, loaded, strict=True):
        same = first.keys() == arrays.keys() and all(
            np.array_equal(first[key], arrays[key]) for key in first if key != "probabilities"
        )
        if not same:
            raise PipelineError(
                f"{runs[0].id} and {run.id} hold different rows or labels; make their arrays again "
                "with make ensemble RUN=<id> FORCE=1"
            )
    stacked = [arrays["probabilities"] for arrays in loaded]
    mean = np.average(stacked, axis=0, weights=weights).astype(np.float32)
    return {**first, "probabilities": mean}
