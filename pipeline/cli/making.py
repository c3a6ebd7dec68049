"""The commands that make something: a training, a submission, a notebook."""

from collections.abc import Callable

import typer

from pipeline.cli.app import HERE, app, context_of
from pipeline.evaluation.tutorials import show as show_baselines
from pipeline.search.text import result_lines
from pipeline.stages import (
    baselines,
    data,
    ensemble,
    export,
    leaderboard,
    notebook,
    remove,
    reveal,
    search,
    split,
    stop,
    submission,
    submit,
    sweep,
    train,
)
from pipeline.stages.context import Context
from pipeline.stages.options import (
    Also,
    Destination,
    Executor,
    Force,
    Json,
    KaggleImage,
    Message,
    Minutes,
    NoQuestion,
    OneRun,
    PracticeSeed,
    RecipeName,
    Root,
    RunNames,
    Seed,
    Seeds,
    Settings,
    Source,
    Sweep,
    TensorBoard,
    Vary,
)
from pipeline.stages.printing import print_aside, print_json, print_line, print_result
from pipeline.stages.request import DEFAULT_RECIPE, Request
from pipeline.stages.search_plan import SearchPlan
from pipeline.stages.tracked import tracked

STAGES: dict[str, tuple[str, Callable[[Context], object]]] = {
    "data": ("Fetch the competition's files and check every cell.", data.data),
    "split": ("Hold out validation rows, and list exact duplicates.", split.split),
    "train": (
        "Train the recipe's networks, or continue a run. Does nothing if that is done.",
        train.train,
    ),
    "ensemble": ("Average the checkpoints of one run or several.", ensemble.ensemble),
    "submission": ("Write the CSV and the confusion heatmap.", submission.write_submission),
}


def _add_stage(name: str, text: str, run_stage: Callable[[Context], object]) -> None:
    """Add a stage as a command with the options that all stages share."""

    @app.command(name, help=text)
    def command(
        command: typer.Context,
        source: Source = "auto",
        recipe: RecipeName = DEFAULT_RECIPE,
        seed: Seed = None,
        settings: Settings = "",
        practice_seed: PracticeSeed = 0,
        run: RunNames = "",
        force: Force = False,
        executor: Executor = "auto",
        kaggle_image: KaggleImage = False,
        tensorboard: TensorBoard = False,
        root: Root = HERE,
    ) -> None:
        tracked(run_stage, context_of(name, command, print_line))


for _name, (_text, _run_stage) in STAGES.items():
    _add_stage(_name, _text, _run_stage)


@app.command("submit")
def submit_command(
    command: typer.Context,
    source: Source = "auto",
    recipe: RecipeName = DEFAULT_RECIPE,
    seed: Seed = None,
    settings: Settings = "",
    practice_seed: PracticeSeed = 0,
    run: RunNames = "",
    message: Message = "",
    force: Force = False,
    executor: Executor = "auto",
    kaggle_image: KaggleImage = False,
    tensorboard: TensorBoard = False,
    as_json: Json = False,
    root: Root = HERE,
) -> None:
    """Do all stages, upload the CSV and wait for its score."""
    report = print_aside if as_json else print_line
    result = tracked(submit.submit, context_of("submit", command, report))
    print_result(result, as_json)


@app.command("sweep")
def sweep_command(
    command: typer.Context,
    sweep_values: Sweep = "",
    seeds: Seeds = 1,
    source: Source = "auto",
    recipe: RecipeName = DEFAULT_RECIPE,
    seed: Seed = None,
    settings: Settings = "",
    practice_seed: PracticeSeed = 0,
    executor: Executor = "auto",
    tensorboard: TensorBoard = False,
    root: Root = HERE,
) -> None:
    """Train every combination of some settings, each as a run, and compare them."""
    combinations = sweep.Combination.parse(recipe, settings, seed, sweep_values, seeds)
    context = context_of("sweep", command, print_line, own=("sweep_values", "seeds"))
    sweep.sweep(context, combinations)


@app.command("search")
def search_command(
    command: typer.Context,
    minutes: Minutes = 60,
    vary: Vary = "",
    seeds: Seeds = 2,
    source: Source = "auto",
    recipe: RecipeName = DEFAULT_RECIPE,
    seed: Seed = None,
    settings: Settings = "",
    practice_seed: PracticeSeed = 0,
    executor: Executor = "auto",
    tensorboard: TensorBoard = False,
    root: Root = HERE,
) -> None:
    """Look for better settings of a recipe, and measure what was found with new seeds and folds."""
    plan = SearchPlan(recipe, settings, seed, vary, minutes, seeds)
    context = context_of("search", command, print_line, own=("minutes", "vary", "seeds"))
    for line in result_lines(search.search(context, plan)):
        print_line(line)


@app.command("stop")
def stop_command(run: OneRun = "", force: Force = False, root: Root = HERE) -> None:
    """End the kernel at Kaggle that trains a run, and say how much of the quota is left."""
    stop.stop(Context(root, Request.parse("stop", run=run, force=force), print_line))


@app.command("notebook")
def notebook_command(run: OneRun = "", root: Root = HERE) -> None:
    """Write a run as a notebook that can be published at Kaggle."""
    notebook.notebook(Context(root, Request.parse("notebook", run=run), print_line))


@app.command("export")
def export_command(to: Destination, run: RunNames = "", root: Root = HERE) -> None:
    """Log runs that exist to MLflow: all finished ones, or those of RUN."""
    export.export(Context(root, Request.parse("export", run=run), print_line))


@app.command("reveal")
def reveal_command(run: OneRun = "", as_json: Json = False, root: Root = HERE) -> None:
    """Show a practice submission's private score too, and note in the ledger that it was shown."""
    report = print_aside if as_json else print_line
    result = reveal.reveal(Context(root, Request.parse("reveal", run=run), report))
    print_result(result, as_json)


@app.command("leaderboard")
def leaderboard_command(run: RunNames = "", as_json: Json = False, root: Root = HERE) -> None:
    """Download Kaggle's public leaderboard, and say which places the runs' scores would take."""
    report = print_aside if as_json else print_line
    request = Request.parse("leaderboard", run=run)
    print_result(leaderboard.leaderboard(Context(root, request, report)), as_json)


@app.command("remove")
def remove_command(
    run: RunNames = "", also: Also = "", force: NoQuestion = False, root: Root = HERE
) -> None:
    """Delete runs and their submissions, after a question."""
    remove.remove(Context(root, Request.parse("remove", run=run, force=force), print_line), also)


@app.command("baselines")
def baselines_command(
    seeds: Seeds = 1, force: Force = False, as_json: Json = False, root: Root = HERE
) -> None:
    """Train the tutorials' systems, and print reported beside measured accuracy.

    The recipe, source and random seeds of each are fixed.
    """
    report = print_aside if as_json else print_line
    rows = baselines.baselines(root, seeds, report, force=force)
    if as_json:
        print_json([row.as_json() for row in rows])
    else:
        show_baselines(rows)
