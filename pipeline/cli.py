"""The commands of `python -m pipeline`: options in, a stage called, its result printed.

The stages import TensorFlow where they need it. This module never does.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import typer

from pipeline import runs
from pipeline.common.errors import LONGEST_MESSAGE, PipelineError, exit_codes
from pipeline.common.progress import Report
from pipeline.common.provenance import PROGRAM, command_as_typed
from pipeline.common.text import printable
from pipeline.evaluation.tutorials import show as show_baselines
from pipeline.runs import RunStore
from pipeline.stages import (
    baselines,
    compare,
    data,
    doctor,
    ensemble,
    leaderboard,
    look,
    notebook,
    report,
    reveal,
    split,
    stop,
    submission,
    submit,
    train,
)
from pipeline.stages.context import Context
from pipeline.stages.options import (
    Count,
    Csv,
    Executor,
    Force,
    Json,
    KaggleImage,
    Message,
    OneRun,
    Part,
    PracticeSeed,
    Predicted,
    RandomSeed,
    RecipeName,
    Root,
    RunNames,
    Seed,
    Seeds,
    Settings,
    ShowAll,
    Sort,
    Source,
    Start,
    TrueLabel,
    TwoRuns,
    View,
    Where,
)
from pipeline.stages.printing import print_aside, print_json, print_line, print_result
from pipeline.stages.request import DEFAULT_RECIPE, Request, check_text

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From a fresh clone to a scored submission for Kaggle's digit-recognizer.",
)


HERE = Path()

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
        root: Root = HERE,
    ) -> None:
        run_stage(_context(name, command, print_line))


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
    as_json: Json = False,
    root: Root = HERE,
) -> None:
    """Do all stages, upload the CSV and wait for its score."""
    result = submit.submit(_context("submit", command, print_aside if as_json else print_line))
    print_result(result, as_json)


@app.command("stop")
def stop_command(run: OneRun = "", force: Force = False, root: Root = HERE) -> None:
    """End the kernel at Kaggle that trains a run, and say how much of the quota is left."""
    stop.stop(Context(root, Request.parse("stop", run=run, force=force), print_line))


@app.command("notebook")
def notebook_command(run: OneRun = "", root: Root = HERE) -> None:
    """Write a run as a notebook that can be published at Kaggle."""
    notebook.notebook(Context(root, Request.parse("notebook", run=run), print_line))


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


@app.command("look")
def look_command(
    run: RunNames = "",
    view: View = "",
    part: Part = "",
    start: Start = None,
    count: Count = None,
    true: TrueLabel = None,
    predicted: Predicted = None,
    source: Source = "auto",
    practice_seed: PracticeSeed = 0,
    seed: RandomSeed = None,
    root: Root = HERE,
) -> None:
    """Look at a run: digits, probabilities, confusions, curves, parameters, model files."""
    request = Request.parse("look", run=run, source=source, practice_seed=practice_seed)
    options = look.LookOptions(view, part, start, count, true, predicted, seed)
    look.look(Context(root, request, print_line), options)


@app.command("compare")
def compare_command(
    run: TwoRuns = "",
    where: Where = "",
    sort: Sort = "",
    show_all: ShowAll = False,
    as_json: Json = False,
    as_csv: Csv = False,
    root: Root = HERE,
) -> None:
    """Say which recipe is better, by how much, and how sure that is; RUN="A B": of two runs."""
    options = compare.CompareOptions(where, sort, show_all, as_json, as_csv)
    compare.compare(Context(root, Request.parse("compare", run=run), print_aside), options)


@app.command("report")
def report_command(root: Root = HERE) -> None:
    """Write all runs on one page: the comparison, and each run's settings and pictures."""
    report.write_report(Context(root, Request.parse("report"), print_line), _warn)


@app.command("runs")
def runs_command(as_json: Json = False, root: Root = HERE) -> None:
    """List all runs with their states and those of their members, oldest first."""
    store = _store(root)
    all_runs = store.all()
    _warn(store.unreadable)
    if as_json:
        left_out = [runs.unreadable_as_json(*one) for one in store.unreadable.items()]
        print_json([*map(runs.as_json, all_runs), *left_out])
        return
    for run in all_runs:
        for line in runs.describe(run):
            print_line(line)
    if not all_runs and not store.unreadable:
        print_line("no runs yet; make submit makes one")


@app.command("doctor")
def doctor_command(root: Root = HERE) -> None:
    """Print what is there and what is missing, each with its fix."""
    for finding in doctor.examine(root):
        fix = f"  -> {finding.fix}" if finding.fix else ""
        print_line(f"{finding.subject:<20}{finding.state}{fix}")


def main() -> None:
    """Run the command line. It exits with 0, 1, 2 or 130; docs/how-it-works.md explains them."""
    with exit_codes():
        try:
            command = typer.main.get_command(app)
            with command.make_context(PROGRAM, sys.argv[1:]) as context:
                command.invoke(context)
        except typer.Exit as ending:  # after --help
            if ending.exit_code:
                raise SystemExit(ending.exit_code) from None
        except typer.BadParameter as error:
            if (name := getattr(error.param, "envvar", None)) in ("FORCE", "ALL", "KAGGLE_IMAGE"):
                raise PipelineError(
                    f"{name} is {os.environ[name]!r}; give 1, or leave it out"
                ) from None
            _refuse(error)
        except typer.TyperException as error:
            _refuse(error)


def _refuse(error: typer.TyperException) -> None:
    """Print what is wrong with the words of the command line in one line, and exit with 2."""
    problem = printable(error.format_message(), LONGEST_MESSAGE).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else PROGRAM
    if problem:  # none where there are no words: the help has been printed
        print_aside(f"error: {problem}; {command} --help lists what is allowed")
    raise SystemExit(2) from None


def _context(stage: str, command: typer.Context, report: Report) -> Context:
    """Return the context of a stage from the values of all its command's options."""
    options = {key: value for key, value in command.params.items() if key != "as_json"}
    root = options.pop("root")
    variables = [getattr(option, "envvar", None) for option in command.command.params]
    if cluster := os.environ.get("RAY_ADDRESS"):
        check_text("RAY_ADDRESS", cluster)
    typed = command_as_typed(sorted({*filter(None, variables), "RAY_ADDRESS"}))
    return Context(root, Request.parse(stage, command=typed, **options), report)


def _store(root: Path) -> RunStore:
    return RunStore(root / "runs")


def _warn(unreadable: Mapping[str, str]) -> None:
    """Print one line on stderr for each run that is left out."""
    for reason in unreadable.values():
        print_aside(f"left out: {reason}")
