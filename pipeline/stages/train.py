"""The stage `train`: the run that the recipe, the data and the code determine."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.common import files, provenance
from pipeline.common.errors import PipelineError
from pipeline.common.startup import gpu_expected, quiet_start
from pipeline.common.text import printable
from pipeline.data.split import fingerprint
from pipeline.executors.plan import Arrangement, arrange, planned_members
from pipeline.executors.queue import RetryQueue, failure_report, find_executor, train_members
from pipeline.recipe import Recipe
from pipeline.runs import Run, TrainingRecord
from pipeline.stages import at_kaggle
from pipeline.stages.context import Context
from pipeline.stages.identity import code_fingerprint
from pipeline.stages.printing import print_aside

if TYPE_CHECKING:
    from pipeline.training.hardware import Hardware

UNUSED_GPU = (
    "this machine has an NVIDIA GPU, but TensorFlow does not see it, so training is on the CPU; "
    ".venv/bin/python -c \"import tensorflow as tf; tf.config.list_physical_devices('GPU')\" shows "
    'why (SET="members.gpus=0" chooses the CPU)'
)

LARGEST_NETWORK_FILE = 1_000_000  # bytes

UNUSED_CLUSTER = "RAY_ADDRESS has no effect here; EXECUTOR=ray trains on that cluster"


def train(context: Context) -> Run:
    """Return the finished run of the request: found, continued, or trained from its beginning.

    Members that are done are not trained again. The others continue after their last epoch. Raises
    PipelineError, and KeyboardInterrupt on Ctrl-C. The run is then marked as failed or
    interrupted, and can be continued.
    """
    named = _named_run(context)
    if named:
        context = context.with_recipe(named.training.recipe)
        if named.record.status == "done":
            return _report_done(context, named)
    source = named.network_source if named else network_source(context.request.recipe)
    record = _describe(context, source)
    if named:
        _check_same(named, record)
    else:
        existing = _find(context, record.identity)
        if existing and _is_complete(context, existing):
            return _report_done(context, existing)
    arrangement, hardware = _prepare(context, source)
    run = named or _find_or_create(context, record, source)
    return _execute(context, run, arrangement, hardware)


def check(context: Context) -> None:
    """Raise PipelineError where the request's recipe has a network or splits that cannot be."""
    recipe = context.request.recipe
    source = network_source(recipe)
    run = _find(context, _describe(context, source).identity)
    if not run or not _is_complete(context, run):
        _check_network(recipe, source)


def _named_run(context: Context) -> Run | None:
    """Return the run that `RUN` names, if any. Raises PipelineError if it cannot be trained."""
    if not context.chosen_runs:
        return None
    (run, *others), names = context.chosen_runs, " ".join(context.request.runs)
    force = context.request.force and context.request.executor != "kaggle"
    if others or not run.training or force:
        raise PipelineError(
            f"RUN is {names!r}{' with FORCE' if force else ''}; make train continues one run that "
            "trains: give its id, and no FORCE"
        )
    return run


def _check_same(run: Run, record: TrainingRecord) -> None:
    """Raise PipelineError if the run began with other data, code or libraries than `record`."""
    if not at_kaggle.is_same(run.training, record):
        recipe = f"{run.record.recipe_name} with SEED={run.training.seed}"
        raise PipelineError(
            f"run {run.id} was begun with other data, code or library versions, and cannot be "
            f"continued; train it anew ({run.record.command or recipe})"
        )


def _find(context: Context, identity: str) -> Run | None:
    """Return the newest run of an identity, a finished one if there is one.

    With `FORCE`, finished runs do not count, nor those with a member that has no tries left. A run
    that is not done is still continued.
    """
    unfinished = context.store.with_identity(identity, done=False)
    if not context.request.force:
        runs = context.store.with_identity(identity) or unfinished
    else:
        retries = context.request.recipe.members.retries
        runs = [run for run in unfinished if all(m.attempt <= retries for m in run.record.members)]
    return runs[0] if runs else None


def _find_or_create(context: Context, record: TrainingRecord, source: str | None) -> Run:
    """Return the record's run, made if need be. Two commands at the same time get the same run."""
    with context.store.locked():
        run = _find(context, record.identity)
        return run or context.store.create(record, source)


def _is_complete(context: Context, run: Run) -> bool:
    """Return whether the run is done, with as many members as the request's recipe requires."""
    succeeded = sum(member.status == "done" for member in run.record.members)
    return run.record.status == "done" and succeeded >= context.request.recipe.members.needed


def _report_done(context: Context, run: Run) -> Run:
    line = f"run {run.id} is trained already"
    if not context.chosen_runs:  # FORCE=1 goes with a recipe, not with a run
        line += "; FORCE=1 trains it again"
    context.report(line)
    return run


def network_source(recipe: Recipe) -> str | None:
    """Return the text of a network file of one's own, None where the package has the network."""
    if recipe.network.file is None:
        return None
    name = f"network.file: {printable(recipe.network.file, 300)}"
    try:
        return files.read_bytes(Path(recipe.network.file), LARGEST_NETWORK_FILE).decode()
    except UnicodeDecodeError:
        raise PipelineError(f"{name} is not text in UTF-8; mend the file") from None
    except OSError as error:
        problem = error.strerror or error
        raise PipelineError(f"{name} cannot be read: {problem}; mend the file") from None


def _describe(context: Context, source: str | None) -> TrainingRecord:
    """Describe the run. Equal identities mean equal settings, data, code and libraries.

    With KAGGLE_IMAGE=1 the libraries are those of Kaggle's image, of whatever day.
    """
    request, recipe = context.request, context.request.recipe
    # How many failures are accepted changes no number: it may change between two commands. The
    # code of a network file counts, not its place.
    excluded = {"members": {"retries", "required", "hours"}, "network": {"file"}}
    code = code_fingerprint(recipe.network.name, source)
    # The versions of Kaggle's image are known only once a kernel has run.
    versions = at_kaggle.IMAGE if request.kaggle_image else provenance.versions()
    split = fingerprint(context.splits)
    identity = provenance.hash_of(
        {
            "recipe": recipe.model_dump(mode="json", exclude=excluded),
            "data": context.dataset.fingerprint,
            "split": split,
            "code": code,
            "versions": versions,
        }
    )
    return TrainingRecord(
        id=f"{recipe.name}-s{recipe.seed}-{identity[:8]}",
        identity=identity,
        status="pending",
        recipe=recipe,
        recipe_name=recipe.name,
        seed=recipe.seed,
        source=context.source.location,
        practice_seed=request.practice_seed,
        data_fingerprint=context.dataset.fingerprint,
        split_fingerprint=split,
        code_fingerprint=code,
        versions=versions,
        git=provenance.git_state(),
        command=request.command,
        members=planned_members(recipe),
    )


def _prepare(context: Context, source: str | None) -> tuple[Arrangement, Hardware | None]:
    """Check the recipe's network and prepare the devices, before any run is made.

    The devices are None where members are trained at Kaggle.
    """
    recipe = context.request.recipe
    _check_network(recipe, source)
    from pipeline import networks
    from pipeline.training import hardware

    if recipe.members.gpus == 0:
        hardware.hide_gpus()
    cores, gpus = hardware.count_devices()
    arrangement = arrange(context.request.executor, recipe, cores, gpus)
    if arrangement.executor == "kaggle":
        at_kaggle.check_source(context)
        if source is not None:
            networks.check_own(recipe.network.name, recipe.network.dropout_rates)
        return arrangement, None
    find_executor(arrangement.executor)
    if arrangement.executor != "ray":
        if not gpus and gpu_expected():
            context.report(UNUSED_GPU)
        if os.environ.get("RAY_ADDRESS"):
            context.report(UNUSED_CLUSTER)
    threads = arrangement.threads if arrangement.executor == "serial" else None
    prepared = hardware.prepare(recipe.training, threads)
    if source is not None:  # only now, as the first tensor fixes TensorFlow's threads
        networks.check_own(recipe.network.name, recipe.network.dropout_rates)
    return arrangement, prepared


def _check_network(recipe: Recipe, source: str | None) -> None:
    # TensorFlow takes seconds to import. A command that finds its run trained must not wait.
    with quiet_start():
        from pipeline import networks

    if source is not None:
        networks.register_file(source)
    networks.check(recipe.network.name, recipe.network.dropout_rates)


def _execute(
    context: Context, run: Run, arrangement: Arrangement, hardware: Hardware | None
) -> Run:
    """Train the members of the run that are not done."""
    recipe, splits = context.request.recipe, context.splits
    with run.held():
        if _is_complete(context, run):  # another process has finished it in the meantime
            return _report_done(context, run)
        record = run.training
        record.recipe = recipe
        if hardware is not None:
            at_kaggle.refuse_beside_kernel(run)
        if not RetryQueue(run, splits, arrangement.threads).pending():
            failure_report(run)  # raises if too few members succeeded, before scores are lost
        try:
            with run.in_progress():
                record.executor = arrangement.executor
                record.scores = None  # those of an earlier submission from fewer epochs
                context.report(
                    f"run {run.id}: training {_networks(recipe)} on "
                    f"{len(splits[0].train_rows):,} rows, validating on "
                    f"{len(splits[0].validation_rows):,}"
                    f"{f'; {hardware.describe()}' if hardware else ''}{arrangement.describe()}"
                )
                if hardware is None:
                    at_kaggle.train(context, run)
                else:
                    record.hardware, record.versions = asdict(hardware), provenance.versions()
                    labelled = context.dataset.labelled
                    train_members(
                        run,
                        labelled,
                        splits,
                        arrangement,
                        hardware,
                        context.report,
                        context.watch(run),
                    )
        except KeyboardInterrupt:
            if hardware is not None:
                context.report(_interrupted(run, len(splits)))
            raise
        except BrokenPipeError:  # nobody reads the output, as behind `| head`
            with suppress(OSError):
                print_aside(_interrupted(run, len(splits)))
            raise
    return run


def _networks(recipe: Recipe) -> str:
    count, name = recipe.members.count, recipe.network.name
    return name if count == 1 else f"{count} members of {name}, each"


def _interrupted(run: Run, folds: int) -> str:
    epochs = sum(member.epochs for member in run.record.members)
    line = f"run {run.id}: interrupted after {epochs} epochs; {run.continuation} continues it"
    if len({member.fold for member in run.record.usable_members}) == folds:
        line += f", and make submit RUN={run.id} uses the checkpoints so far"
    return line
