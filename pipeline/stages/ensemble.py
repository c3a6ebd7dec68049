"""The stage `ensemble`: probabilities, scores and pictures of a run's checkpoints."""

import time
from collections import Counter
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pipeline.common import provenance
from pipeline.common.errors import PipelineError
from pipeline.common.files import sha256
from pipeline.common.startup import quiet_start
from pipeline.data.digits import select
from pipeline.evaluation import png_files
from pipeline.executors.plan import fixed_threads
from pipeline.prediction.averaging import Average, average
from pipeline.runs import AverageRecord, DamagedArraysError, Run, Scores
from pipeline.stages.context import Context
from pipeline.stages.train import train


def ensemble(context: Context) -> Run:
    """Return the run, or the ensemble of the runs named, with probabilities and scores.

    Raises PipelineError.
    """
    runs = context.chosen_runs or [train(context)]
    if len(runs) == 1:
        return _scored(context, runs[0], anew=context.request.force and bool(context.chosen_runs))
    return _average_of(context, [_scored(context, run) for run in runs])


def _scored(context: Context, run: Run, anew: bool = False, above: tuple[str, ...] = ()) -> Run:
    """Return the run with its probabilities and scores, made again if `anew` or damaged.

    `above` are the ids of the averages that this run is a part of.
    """
    _check_usable(context, run)
    if _is_scored(context, run) and not anew:
        context.report(f"run {run.id} has its probabilities and validation scores already")
        _restore_pictures(context, run)
    elif run.record.parents:
        parents = _parents(context, run, above)
        with run.held(), run.in_progress():
            _finish_average(context, run, average(parents))
    else:
        with run.held():  # meanwhile nobody trains it further, which deletes checkpoints
            _predict(context, run)
    _report_test_accuracy(context, run)
    return run


def _is_scored(context: Context, run: Run) -> bool:
    """Return whether the run has scores and the probabilities that they were computed from.

    A process that is killed between two writes leaves files that the record does not know yet.
    """
    if run.record.scores is None:
        return False
    try:
        for name in ("validation", "test"):
            run.load_arrays(name)
    except DamagedArraysError as error:
        origin = "runs that it averages" if run.record.parents else "checkpoints"
        context.report(f"{error.problem}: made again from the {origin}")
        return False
    return True


def _restore_pictures(context: Context, run: Run) -> None:
    """Draw the pictures in a scored run's folder again if any is missing or damaged."""
    damaged = png_files.damaged(run)
    if damaged:
        from pipeline.evaluation import pictures

        context.report(f"drawing again what is missing or damaged: {', '.join(map(str, damaged))}")
        rows = run.load_arrays("validation")["rows"]
        images = select(context.dataset.labelled, rows).images
        pictures.draw_run_pictures(run, images, context.report)


def _parents(context: Context, run: Run, above: tuple[str, ...]) -> list[Run]:
    """Return the runs that a run averages, scored. Raises PipelineError if it averages itself."""
    chain = (*above, run.id)
    repeated = [name for name in run.record.parents if name in chain]
    if repeated:
        raise PipelineError(
            f"run {run.id} averages itself ({' of '.join([*chain, repeated[0]])}); move "
            f"{run.folder} away"
        )
    return [_scored(context, context.store.get(name), above=chain) for name in run.record.parents]


def _check_usable(context: Context, run: Run) -> None:
    """Raise PipelineError for a run that is still being trained, or that has other data."""
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
    """Average the outputs of a run's members. A row is predicted by those not trained on it."""
    splits = context.splits_of(run)
    prediction, precision = _prepare_prediction(context, run)
    started = time.perf_counter()
    rows, validation, test = prediction.out_of_fold(
        run, splits, context.dataset, precision, context.report
    )
    run.record.timings["ensemble_seconds"] = round(time.perf_counter() - started, 1)
    _finish(context, run, rows, validation, test, precision)


def _average_of(context: Context, parents: list[Run]) -> Run:
    """Return the run that averages the probabilities of several, made if it is not there."""
    # A parent that was trained or scored again has other probabilities: that is another average.
    arrays = {
        run.id: [sha256(run.folder / f"{name}.npz") for name in ("validation", "test")]
        for run in parents
    }
    identity = provenance.hash_of(arrays)
    if not context.request.force:
        for run in context.store.with_identity(identity):
            if _is_scored(context, run):
                context.report(f"ensemble {run.id} is there already; FORCE=1 makes it again")
                return run
    averaged = average(parents)
    with context.store.locked():
        unfinished = context.store.with_identity(identity, done=False)
        if unfinished:
            run = unfinished[0]
        else:
            for parent in parents:
                context.store.get(parent.id)  # raises if it was removed meanwhile
            run = context.store.create(_average_record(context, averaged, parents, identity))
    with run.held(), run.in_progress():
        _finish_average(context, run, averaged)
    return run


def _average_record(
    context: Context, averaged: Average, parents: list[Run], identity: str
) -> AverageRecord:
    """Return the record of an average before it is made."""
    base = averaged.base
    members = [member for run in parents for member in run.members()]
    timings: Counter[str] = Counter()
    for parent in parents:
        timings.update(parent.record.timings)
    return AverageRecord(
        id=f"ensemble-{identity[:8]}",
        identity=identity,
        status="pending",
        recipe_name=" + ".join(run.record.recipe_name for run in parents),
        parents=[run.id for run in parents],
        # The average is validated on the rows of `base`. If those are a hold-out, a member of a
        # run with folds predicts only the ones in its own fold.
        one_fold_per_row=not _has_folds(base) and any(member.fold for member in members),
        source=base.record.source,
        practice_seed=base.record.practice_seed,
        data_fingerprint=base.record.data_fingerprint,
        split_fingerprint=base.record.split_fingerprint,
        versions=provenance.versions(),
        git=provenance.git_state(),
        command=context.request.command,
        timings=dict(timings),
        members=members,
    )


def _has_folds(run: Run) -> bool:
    """Return whether a run is validated out-of-fold on all rows, and not on a hold-out."""
    if run.record.kind == "average":
        return not run.record.one_fold_per_row and any(one.fold for one in run.record.members)
    return run.record.recipe.members.splits > 1


def _finish_average(context: Context, run: Run, averaged: Average) -> None:
    validation, test = averaged.validation, averaged.test
    _finish(context, run, validation["rows"], validation["probabilities"], test["probabilities"])


def _prepare_prediction(context: Context, run: Run) -> tuple[ModuleType, str]:
    """Return what predicts, and the Keras dtype policy that the run's recipe means here.

    Sums are rounded in an order that depends on the threads, so prediction has as many as training.
    """
    recipe = run.training.recipe
    # TensorFlow takes seconds to import, and a scored run needs none of it.
    with quiet_start():
        from pipeline.prediction import ensemble as prediction
        from pipeline.prediction.predictor import register_own_layers
        from pipeline.training import hardware

    try:
        hardware.prepare(recipe.training, fixed_threads(recipe))
    except PipelineError:  # another run of this command has fixed them
        context.report(
            f"run {run.id}: TensorFlow has other threads in this process than its recipe says, so "
            "the last digits of its probabilities may differ"
        )
    register_own_layers(run)
    return prediction, hardware.prediction_precision(recipe.prediction)


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
    published = {} if test_labels is None else {"labels": test_labels}
    run.save_arrays("test", rows=np.arange(len(test)), **published, probabilities=test)
    pictures.draw_run_pictures(run, labelled.images, context.report)
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
    checkpoints = "1 checkpoint" if count == 1 else f"{count} checkpoints averaged"
    context.report(
        f"run {run.id}: validation accuracy {run.record.scores.validation_accuracy:.5f} on "
        f"{len(rows):,} rows, {checkpoints}"
    )


def _report_test_accuracy(context: Context, run: Run) -> None:
    """Report the test accuracy of a run whose source publishes its test labels."""
    scores = run.record.scores
    if scores and scores.test_accuracy is not None and scores.test_interval:
        low, high = scores.test_interval
        context.report(
            f"run {run.id}: test accuracy {scores.test_accuracy:.5f} on {scores.test_rows:,} rows "
            f"(95 % interval {low:.5f} to {high:.5f})"
        )


def training_accuracy(context: Context, run: Run) -> float:
    """Return a scored run's accuracy on its own training rows, in [0, 1]: its members' mean.

    The rows have no warps, and dropout is off. The figure is kept in the record. Raises
    PipelineError.
    """
    from pipeline.evaluation import scores

    recorded = run.record.scores
    assert recorded is not None, "the stage `ensemble` has scored the run"
    if recorded.training_accuracy is None:
        prediction, precision = _prepare_prediction(context, run)
        splits = context.splits_of(run)
        accuracies = []
        for member in run.record.usable_members:
            rows = select(context.dataset.labelled, splits[member.fold].train_rows)
            paths = run.checkpoint_paths(member)
            (means,) = prediction.predict(paths, [rows.images], precision, context.report)
            accuracies.append(scores.accuracy(rows.labels, means.argmax(axis=1)))
        with run.held():
            recorded = run.record.scores
            assert recorded is not None, "a scored run stays scored"
            recorded.training_accuracy = float(np.mean(accuracies))
            run.save()
    return recorded.training_accuracy
