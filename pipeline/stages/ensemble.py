"""The stage `ensemble`: probabilities, scores and pictures of a run's checkpoints."""

import time
from collections import Counter
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pipeline.common import provenance, quiet
from pipeline.common.errors import PipelineError
from pipeline.common.files import sha256
from pipeline.data.digits import select
from pipeline.prediction.averaging import Average, average
from pipeline.recipe import PredictionSettings
from pipeline.runs import Run, Scores
from pipeline.stages.context import Context
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
        with run.held(), run.worked_on():
            _finish_average(context, run, average(parents))
    else:
        with run.held():  # nobody trains on, and deletes checkpoints, meanwhile
            _predict(context, run)
    _report_test(context, run)
    return run


def _check(context: Context, run: Run) -> None:
    if run.state() == "running":
        raise PipelineError(
            f"run {run.id} is still being trained by process {run.record.process} on "
            f"{run.record.host}; wait for it, or end it with Ctrl-C"
        )
    if run.record.data_fingerprint != context.dataset.fingerprint:
        raise PipelineError(
            f"run {run.id} was trained on other data ({run.record.source}, "
            f"{run.record.data_fingerprint[:12]}) than SOURCE holds "
            f"({context.dataset.fingerprint[:12]}); give the SOURCE and PRACTICE_SEED of the run"
        )


def _predict(context: Context, run: Run) -> None:
    """Average the softmax outputs of a run's members, each row's by those that never saw it."""
    splits = context.splits_of(run)
    predicting, precision = _import_prediction(), _precision(run)
    started = time.perf_counter()
    rows, validation, test = predicting.out_of_fold(
        run, splits, context.dataset, precision, context.report
    )
    run.record.timings["ensemble_seconds"] = round(time.perf_counter() - started, 1)
    _finish(context, run, rows, validation, test, precision)


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
    averaged = average(parents)
    record = averaged.base.record.model_copy(deep=True)
    record.id, record.identity = f"ensemble-{identity[:8]}", identity
    record.status, record.reason, record.scores = "pending", "", None
    record.recipe_name = " + ".join(run.record.recipe_name for run in parents)
    record.parents = [run.id for run in parents]
    record.members = [member for run in parents for member in run.members()]
    totals: Counter[str] = Counter()
    for parent in parents:
        totals.update(parent.record.timings)
    record.timings = dict(totals)
    record.git, record.versions = provenance.git_state(), provenance.versions()
    cut_off = context.store.with_identity(identity, done=False)
    run = cut_off[0] if cut_off else context.store.create(record)
    with run.held(), run.worked_on():
        _finish_average(context, run, averaged)
    return run


def _finish_average(context: Context, run: Run, averaged: Average) -> None:
    validation, test = averaged.validation, averaged.test
    _finish(context, run, validation["rows"], validation["probabilities"], test["probabilities"])


def _import_prediction() -> ModuleType:
    """Import what predicts, only when needed: TensorFlow takes seconds."""
    with quiet.startup():
        from pipeline.prediction import ensemble as predicting
        from pipeline.training import hardware

        hardware.grow_memory()
    return predicting


def _precision(run: Run) -> str:
    """Return the Keras dtype policy that a run's recipe, and this machine, ask predictions in."""
    from pipeline.training import hardware

    settings = run.record.recipe.get("prediction", {})
    return hardware.prediction_precision(PredictionSettings.model_validate(settings))


def _finish(
    context: Context,
    run: Run,
    rows: NDArray[np.int64],
    validation: NDArray[np.float32],
    test: NDArray[np.float32],
    precision: str = "",
) -> None:
    """Write a run's probabilities and pictures, and then its scores."""
    # SciPy, scikit-learn and seaborn take seconds to import, and a scored run needs none of them.
    from pipeline.evaluation import pictures, scores

    labelled, test_labels = select(context.dataset.labelled, rows), context.dataset.test_labels
    run.save_arrays("validation", rows=rows, labels=labelled.labels, probabilities=validation)
    known = {} if test_labels is None else {"labels": test_labels}
    run.save_arrays("test", rows=np.arange(len(test)), **known, probabilities=test)
    pictures.draw_run_pictures(run, rows, labelled, validation)
    accuracy, interval = scores.accuracy_with_interval(labelled.labels, validation)
    run.record.scores = Scores(
        validation_accuracy=accuracy,
        validation_rows=len(rows),
        interval=interval,
        log_loss=scores.log_loss(labelled.labels, validation),
        precision=precision,
    )
    if test_labels is not None:
        accuracy, interval = scores.accuracy_with_interval(test_labels, test)
        run.record.scores.test_accuracy, run.record.scores.test_interval = accuracy, interval
        run.record.scores.test_rows = len(test)
    run.save()
    count = run.record.checkpoint_count
    voters = "1 checkpoint" if count == 1 else f"{count} checkpoints averaged"
    context.report(
        f"run {run.id}: validation accuracy {run.record.scores.validation_accuracy:.5f} on "
        f"{len(rows):,} rows, {voters}"
    )


def _report_test(context: Context, run: Run) -> None:
    """Tell the test accuracy of a run whose source publishes its test labels."""
    scores = run.record.scores
    if scores and scores.test_accuracy is not None and scores.test_interval:
        low, high = scores.test_interval
        context.report(
            f"run {run.id}: test accuracy {scores.test_accuracy:.5f} on {scores.test_rows:,} rows "
            f"(95 % interval {low:.5f} to {high:.5f})"
        )


def training_accuracy(context: Context, run: Run) -> float:
    """Return a scored run's accuracy on its own training rows, in [0, 1]: its members' mean.

    The rows are taken as they are, without warps or dropout. The figure is kept in the record.
    Raises PipelineError.
    """
    from pipeline.evaluation import scores

    kept = run.record.scores
    assert kept is not None, "the stage `ensemble` has scored the run"
    if kept.training_accuracy is None:
        predicting, precision = _import_prediction(), _precision(run)
        splits = context.splits_of(run)
        accuracies = []
        for member in run.record.usable_members:
            rows = select(context.dataset.labelled, splits[member.fold].train_rows)
            paths = run.checkpoint_paths(member)
            (found,) = predicting.predict(paths, [rows.images], precision, context.report)
            accuracies.append(scores.accuracy(rows.labels, found.argmax(axis=1)))
        with run.held():
            kept = run.record.scores
            assert kept is not None, "a scored run stays one"
            kept.training_accuracy = float(np.mean(accuracies))
            run.save()
    return kept.training_accuracy
