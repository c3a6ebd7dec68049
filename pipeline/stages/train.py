"""The stage `train`: the run that the recipe, the data and the code determine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipeline.common import files, nvidia, provenance, quiet
from pipeline.common.errors import PipelineError
from pipeline.data.split import fingerprint
from pipeline.executors.plan import Arrangement, arrange, plan
from pipeline.recipe import Recipe
from pipeline.runs import Record, Run
from pipeline.stages.context import Context

if TYPE_CHECKING:
    from pipeline.training.hardware import Hardware


UNUSED_GPU = (
    "this machine has an NVIDIA GPU, but TensorFlow finds none, so training is on the CPU; "
    ".venv/bin/python -c \"import tensorflow as tf; tf.config.list_physical_devices('GPU')\" tells "
    'why (SET="members.gpus=0" means the CPU)'
)


UNUSED_CLUSTER = "RAY_ADDRESS counts for nothing here; EXECUTOR=ray trains on that cluster"


def train(context: Context) -> Run:
    """Return the finished run of the request: found, continued, or trained from its beginning.

    Members that are done are not trained again, and the others go on after their last epoch.
    Raises PipelineError, and KeyboardInterrupt on Ctrl-C; the run is then marked as failed or
    interrupted, and can be continued.
    """
    if context.chosen_runs:
        return _continue(context)
    record = _describe(context)
    run = _find(context, record.identity)
    if run and _is_complete(context, run):
        return _told(context, run)
    arrangement, hardware = _prepare(context)
    # Two commands that begin the same run: the second finds the first one's.
    with files.locked(context.store.folder / ".lock"):
        run = _find(context, record.identity) or context.store.create(record)
    return _work(context, run, arrangement, hardware)


def _find(context: Context, identity: str) -> Run | None:
    """Return the newest run of an identity, a finished one if there is one.

    With `FORCE` a finished one does not count, nor one in which a member has no tries left; else
    one that is not done is still gone on with.
    """
    begun = context.store.with_identity(identity, done=False)
    if not context.request.force:
        found = context.store.with_identity(identity) or begun
    else:
        retries = context.request.recipe.members.retries
        found = [run for run in begun if all(one.draw <= retries for one in run.record.members)]
    return found[0] if found else None


def _is_complete(context: Context, run: Run) -> bool:
    """Say whether the run is done, with as many members as the request's recipe requires."""
    succeeded = sum(member.status == "done" for member in run.record.members)
    return run.record.status == "done" and succeeded >= context.request.recipe.members.needed


def _told(context: Context, run: Run) -> Run:
    told = f"run {run.id} is trained already"
    if not context.chosen_runs:  # RUN names one that there is, FORCE=1 makes another
        told += "; FORCE=1 trains it again"
    context.report(told)
    return run


def _continue(context: Context) -> Run:
    """Finish the run that `RUN` names. Raises PipelineError if it would not be the same run."""
    (run, *others), names = context.chosen_runs, " ".join(context.request.runs)
    if others or run.record.parents or context.request.force:
        raise PipelineError(
            f"RUN is {names!r}{' with FORCE' if context.request.force else ''}; make train "
            "continues one run that trains: give its id, and no FORCE"
        )
    if run.record.status == "done":
        return _told(context, run)
    try:
        own = context.with_recipe(Recipe.model_validate(run.record.recipe))
        same = _describe(own).identity == run.record.identity
    except ValidationError:
        same = False  # a recipe of another version
    if not same:
        raise PipelineError(
            f"run {run.id} was begun with other data, code or library versions, and cannot be "
            f"continued; train {run.record.recipe_name} with SEED={run.record.seed} anew"
        )
    return _work(own, run, *_prepare(own))


def _describe(context: Context) -> Record:
    """Describe the run; equal identities mean equal settings, data, code and libraries."""
    request, recipe = context.request, context.request.recipe
    settings = recipe.model_dump(mode="json")
    # How much failure is borne changes no number: it may be changed for a run that is there.
    shaping = recipe.model_dump(mode="json", exclude={"members": {"retries", "required"}})
    code, versions = provenance.code_fingerprint(), provenance.versions()
    split = fingerprint(context.splits)
    identity = provenance.identity(
        {
            "recipe": shaping,
            "data": context.dataset.fingerprint,
            "split": split,
            "code": code,
            "versions": versions,
        }
    )
    return Record(
        id=f"{recipe.name}-s{recipe.seed}-{identity[:8]}",
        identity=identity,
        status="pending",
        recipe=settings,
        recipe_name=recipe.name,
        seed=recipe.seed,
        source=context.source.location,
        practice_seed=request.practice_seed,
        data_fingerprint=context.dataset.fingerprint,
        split_fingerprint=split,
        code_fingerprint=code,
        versions=versions,
        git=provenance.git_state(),
        members=plan(recipe),
    )


def _prepare(context: Context) -> tuple[Arrangement, Hardware]:
    """Check the recipe's network and find the devices, before any run is made."""
    # TensorFlow takes seconds to import; a command that finds its run trained must not wait.
    with quiet.startup():
        from pipeline import networks
        from pipeline.executors import queue
        from pipeline.training import hardware

    recipe = context.request.recipe
    networks.check(recipe.network.name, recipe.network.rates)
    if recipe.members.gpus == 0:
        hardware.hide_gpus()
    found = hardware.prepare(recipe.training)
    arrangement = arrange(context.request.executor, recipe, found.cores, len(found.gpus))
    if not found.gpus and arrangement.executor != "ray" and nvidia.gpu_expected():
        context.report(UNUSED_GPU)
    if arrangement.executor != "ray" and os.environ.get("RAY_ADDRESS"):
        context.report(UNUSED_CLUSTER)
    queue.find_executor(arrangement.executor)
    if arrangement.executor == "serial":
        found = hardware.prepare(recipe.training, arrangement.threads)
    return arrangement, found


def _work(context: Context, run: Run, arrangement: Arrangement, found: Hardware) -> Run:
    """Train what of the run is not done."""
    from pipeline.executors import queue

    recipe, splits, labelled = context.request.recipe, context.splits, context.dataset.labelled
    with run.held():
        if _is_complete(context, run):  # another process has finished it meanwhile
            return _told(context, run)
        queue.Crew(run, recipe, splits, arrangement.threads).check_tries()  # before scores are lost
        try:
            with run.worked_on():
                run.record.recipe = recipe.model_dump(mode="json")
                run.record.hardware = found.record()
                run.record.scores = None  # those of the checkpoints so far, if it was scored
                context.report(
                    f"run {run.id}: training {_what(recipe)} on "
                    f"{len(splits[0].train_rows):,} rows, validating on "
                    f"{len(splits[0].validation_rows):,}; {found.describe()}"
                    f"{arrangement.describe()}"
                )
                queue.train_members(
                    run, recipe, labelled, splits, arrangement, found, context.report
                )
        except KeyboardInterrupt:
            context.report(_interrupted(run, len(splits)))
            raise
    return run


def _what(recipe: Recipe) -> str:
    count, name = recipe.members.count, recipe.network.name
    return name if count == 1 else f"{count} members of {name}, each"


def _interrupted(run: Run, folds: int) -> str:
    epochs = sum(member.epochs for member in run.record.members)
    told = f"run {run.id}: interrupted after {epochs} epochs; make train RUN={run.id} goes on"
    if len({member.fold for member in run.record.usable_members}) == folds:
        told += f", and make submit RUN={run.id} uses the checkpoints so far"
    return told
