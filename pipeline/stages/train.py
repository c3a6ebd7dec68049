"""The stage `train`: the run that the recipe, the data and the code determine."""

from pathlib import Path

from pipeline import provenance, quiet
from pipeline.runs import Member, Record, Run
from pipeline.stages.context import Context, select


def train(context: Context) -> Run:
    """Return the finished run of the request, training it if there is none.

    Raises PipelineError, and KeyboardInterrupt on Ctrl-C; the run is then marked as failed or
    interrupted, and its checkpoints can be used.
    """
    record = _describe(context)
    if not context.request.force:
        for run in context.store.with_identity(record.identity):
            context.report(f"run {run.id} is trained already; FORCE=1 trains it again")
            return run
    return _train(context, record)


def _describe(context: Context) -> Record:
    """Describe the run; equal identities mean equal settings, data, code and libraries."""
    request, recipe = context.request, context.request.recipe
    settings = recipe.model_dump(mode="json")
    code, versions = provenance.code_fingerprint(), provenance.versions()
    identity = provenance.identity(
        {
            "recipe": settings,
            "data": context.dataset.fingerprint,
            "split": context.split.fingerprint,
            "code": code,
            "versions": versions,
        }
    )
    name = context.competition.name
    return Record(
        id=f"{recipe.name}-s{recipe.seed}-{identity[:8]}",
        identity=identity,
        status="running",
        recipe=settings,
        recipe_name=recipe.name,
        seed=recipe.seed,
        source=str(Path(request.source).resolve()) if name == "folder" else name,
        practice_seed=request.practice_seed,
        data_fingerprint=context.dataset.fingerprint,
        split_fingerprint=context.split.fingerprint,
        code_fingerprint=code,
        versions=versions,
        git=provenance.git_state(),
    )


def _train(context: Context, record: Record) -> Run:
    recipe, split = context.request.recipe, context.split
    training_digits = select(context.dataset.labelled, split.train_rows)
    validation_digits = select(context.dataset.labelled, split.validation_rows)

    # TensorFlow takes seconds to import; a command that finds its run trained must not wait.
    with quiet.startup():
        from pipeline import hardware, networks, training

    networks.check(recipe.network.name, recipe.network.rates)
    found = hardware.prepare(recipe.training)
    record.hardware = found.record()
    run = context.store.create(record)
    context.report(
        f"run {run.id}: training {recipe.network.name} on {len(split.train_rows):,} rows, "
        f"validating on {len(split.validation_rows):,}; {found.describe()}"
    )

    def keep(member: Member) -> None:
        record.members = [member]
        record.timings["training_seconds"] = member.seconds
        run.save()

    try:
        with run.recorded():
            training.train_member(
                recipe,
                training_digits,
                validation_digits,
                run.member_folder(0),
                found,
                context.report,
                keep,
            )
    except KeyboardInterrupt:
        context.report(_interrupted(run))
        raise
    return run


def _interrupted(run: Run) -> str:
    epochs = sum(member.epochs for member in run.record.members)
    if not epochs:
        return f"run {run.id}: interrupted before its first epoch ended"
    return (
        f"run {run.id}: interrupted after {epochs} epochs; make submit RUN={run.id} uses its "
        "checkpoints, and without RUN the run is trained afresh"
    )
