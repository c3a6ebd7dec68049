"""The stage `ensemble`: probabilities, scores and pictures of a run's checkpoints."""

import time
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pipeline import provenance, quiet
from pipeline.digits import Digits
from pipeline.errors import PipelineError
from pipeline.runs import Run, Scores
from pipeline.stages.context import Context, select
from pipeline.stages.train import train


def ensemble(context: Context) -> Run:
    """Return the run, or the ensemble of the runs named, with probabilities and scores.

    Raises PipelineError.
    """
    runs = context.chosen_runs or [train(context)]
    again = context.request.force and bool(context.chosen_runs)
    for run in runs:
        _check_data(context, run)
        if again or not run.has_probabilities():
            _predict(context, run)
    return runs[0] if len(runs) == 1 else _average(context, runs)


def _check_data(context: Context, run: Run) -> None:
    if run.record.data_fingerprint != context.data_fingerprint:
        raise PipelineError(
            f"run {run.id} was trained on other data ({run.record.source}, "
            f"{run.record.data_fingerprint[:12]}) than SOURCE holds "
            f"({context.data_fingerprint[:12]}); give the SOURCE and PRACTICE_SEED of the run"
        )


def _predict(context: Context, run: Run) -> None:
    """Average the softmax outputs of a run's checkpoints."""
    rows = context.split_of(run).validation_rows
    labelled = select(context.training_digits, rows)
    averaging = _import_averaging()
    started = time.perf_counter()
    validation, test = averaging.predict(
        run.checkpoint_paths(), [labelled.images, context.test_images], context.report
    )
    run.record.timings["ensemble_seconds"] = round(time.perf_counter() - started, 1)
    _finish(run, rows, labelled, validation, test)


def _average(context: Context, runs: list[Run]) -> Run:
    """Return the run that averages the checkpoints of several, making it if it is not there."""
    identity = provenance.identity({"parents": sorted(run.record.identity for run in runs)})
    if not context.request.force:
        for run in context.store.with_identity(identity):
            context.report(f"ensemble {run.id} is there already; FORCE=1 makes it again")
            return run
    validation, test = _import_averaging().average(runs)
    record = runs[0].record.model_copy(deep=True)
    record.id, record.identity, record.status = f"ensemble-{identity[:8]}", identity, "running"
    record.recipe_name = " + ".join(run.record.recipe_name for run in runs)
    record.parents = [run.id for run in runs]
    record.members = [member for run in runs for member in run.record.members]
    record.scores = None
    for name in record.timings:
        record.timings[name] = sum(run.record.timings.get(name, 0.0) for run in runs)
    run = context.store.create(record)
    with run.recorded():
        labelled = select(context.training_digits, validation["rows"])
        _finish(
            run, validation["rows"], labelled, validation["probabilities"], test["probabilities"]
        )
    return run


def _import_averaging() -> ModuleType:
    """Import what predicts, only when needed: TensorFlow takes seconds."""
    with quiet.startup():
        from pipeline import ensemble as averaging
    return averaging


def _finish(
    run: Run,
    rows: NDArray[np.int64],
    labelled: Digits,
    validation: NDArray[np.float32],
    test: NDArray[np.float32],
) -> None:
    """Write a run's probabilities and pictures, and then its scores."""
    # SciPy, scikit-learn and seaborn take seconds to import, and a scored run needs none of them.
    from pipeline import pictures, scores

    run.save_arrays("validation", rows=rows, labels=labelled.labels, probabilities=validation)
    run.save_arrays("test", rows=np.arange(len(test)), probabilities=test)
    pictures.draw(run, rows, labelled, validation)
    predictions = validation.argmax(axis=1)
    interval = scores.wilson_interval(int((predictions == labelled.labels).sum()), len(rows))
    run.record.scores = Scores(
        validation_accuracy=scores.accuracy(labelled.labels, predictions),
        validation_rows=len(rows),
        interval=(interval.low, interval.high),
        log_loss=scores.log_loss(labelled.labels, validation),
    )
    run.save()
