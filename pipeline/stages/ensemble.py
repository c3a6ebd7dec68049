"""The stage `ensemble`: probabilities, scores and pictures of a run's checkpoints."""

import time
from collections import Counter
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pipeline import provenance, quiet
from pipeline.errors import PipelineError
from pipeline.files import sha256
from pipeline.runs import Run, Scores
from pipeline.stages.context import Context, select
from pipeline.stages.train import train


def ensemble(context: Context) -> Run:
    """Return the run, or the ensemble of the runs named, with probabilities and scores.

    Raises PipelineError.
    """
    runs = context.chosen_runs or [train(context)]
    if len(runs) == 1:
        return _scored(context, runs[0], again=context.request.force and bool(context.chosen_runs))
    return _several(context, [_scored(context, run) for run in runs])


def _scored(context: Context, run: Run, again: bool = False) -> Run:
    """Return the run with its probabilities and scores, made anew where `again` asks for it."""
    _check(context, run)
    if run.has_probabilities() and not again:
        context.report(f"run {run.id} is scored already")
    elif run.record.parents:
        parents = [_scored(context, context.store.find(name)) for name in run.record.parents]
        _average(context, run, parents)
    else:
        _predict(context, run)
    return run


def _check(context: Context, run: Run) -> None:
    if run.state() == "running":
        raise PipelineError(
            f"run {run.id} is still being trained by process {run.record.process} on "
            f"{run.record.host}; wait for it, or end it with Ctrl-C"
        )
    if run.record.data_fingerprint != context.data_fingerprint:
        raise PipelineError(
            f"run {run.id} was trained on other data ({run.record.source}, "
            f"{run.record.data_fingerprint[:12]}) than SOURCE holds "
            f"({context.data_fingerprint[:12]}); give the SOURCE and PRACTICE_SEED of the run"
        )


def _predict(context: Context, run: Run) -> None:
    """Average the softmax outputs of a run's checkpoints."""
    rows = context.split_of(run).validation_rows
    averaging = _import_averaging()
    started = time.perf_counter()
    parts = [context.training_digits.images[rows], context.test_images]
    validation, test = averaging.predict(run.checkpoint_paths(), parts, context.report)
    run.record.timings["ensemble_seconds"] = round(time.perf_counter() - started, 1)
    _finish(context, run, rows, validation, test)


def _several(context: Context, parents: list[Run]) -> Run:
    """Return the run that averages the checkpoints of several, making it if it is not there."""
    # A parent that was trained or scored again has other probabilities, and so another ensemble.
    arrays = {
        run.id: [sha256(run.folder / f"{name}.npz") for name in ("validation", "test")]
        for run in parents
    }
    identity = provenance.identity(arrays)
    if not context.request.force:
        for run in context.store.with_identity(identity):
            if run.has_probabilities():
                context.report(f"ensemble {run.id} is there already; FORCE=1 makes it again")
                return run
    record = parents[0].record.model_copy(deep=True)
    record.id, record.identity = f"ensemble-{identity[:8]}", identity
    record.status, record.reason, record.scores = "running", "", None
    record.recipe_name = " + ".join(run.record.recipe_name for run in parents)
    record.parents = [run.id for run in parents]
    record.members = [member for run in parents for member in run.record.members]
    totals: Counter[str] = Counter()
    for parent in parents:
        totals.update(parent.record.timings)
    record.timings = dict(totals)
    run = context.store.create(record)
    with run.recorded():
        _average(context, run, parents)
    return run


def _average(context: Context, run: Run, parents: list[Run]) -> None:
    validation, test = _import_averaging().average(parents)
    rows = validation["rows"]
    _finish(context, run, rows, validation["probabilities"], test["probabilities"])


def _import_averaging() -> ModuleType:
    """Import what predicts, only when needed: TensorFlow takes seconds."""
    with quiet.startup():
        from pipeline import ensemble as averaging
        from pipeline import hardware

        hardware.grow_memory()
    return averaging


def _finish(
    context: Context,
    run: Run,
    rows: NDArray[np.int64],
    validation: NDArray[np.float32],
    test: NDArray[np.float32],
) -> None:
    """Write a run's probabilities and pictures, and then its scores."""
    # SciPy, scikit-learn and seaborn take seconds to import, and a scored run needs none of them.
    from pipeline import pictures, scores

    labelled = select(context.training_digits, rows)
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
    context.report(
        f"run {run.id}: validation accuracy {run.record.scores.validation_accuracy:.5f} on "
        f"{len(rows):,} rows, {run.record.checkpoint_count} checkpoints averaged"
    )
