"""The commands of `python -m pipeline`: options in, a stage called, its result printed.

Every option can also be given as the environment variable, and so the Makefile variable, of its
name. TensorFlow is imported by the stages that need it, never here.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import recipe as recipes
from pipeline import runs
from pipeline.common import failures
from pipeline.common.errors import PipelineError
from pipeline.competitions.ledger import Ledger
from pipeline.evaluation.tutorials import show as show_baselines
from pipeline.runs import RunStore
from pipeline.stages import (
    baselines,
    data,
    doctor,
    ensemble,
    look,
    split,
    submission,
    submit,
    train,
)
from pipeline.stages.context import Context, Request

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From a fresh clone to a scored submission for Kaggle's digit-recognizer.",
)

Source = Annotated[
    str,
    typer.Option(
        envvar="SOURCE",
        help="auto (kaggle where credentials are found, else practice), kaggle, practice, mnist "
        "(60,000 and 10,000 digits, not submitted), or a folder with train.csv and test.csv",
    ),
]
RecipeName = Annotated[
    str, typer.Option(envvar="RECIPE", help="a recipe's name, or the path of a .toml file")
]
Seed = Annotated[
    int | None, typer.Option(envvar="SEED", min=0, help="training seed, instead of the recipe's")
]
Changes = Annotated[
    str, typer.Option("--set", envvar="SET", help='changed recipe keys: "training.epochs=3 ..."')
]
PracticeSeed = Annotated[
    int,
    typer.Option(envvar="PRACTICE_SEED", min=0, help="which permutation the practice data are"),
]
RunNames = Annotated[
    str,
    typer.Option("--run", envvar="RUN", help="id, or unique beginning, of one or more runs"),
]
Force = Annotated[
    bool, typer.Option(envvar="FORCE", help="train, or upload, although it was done already")
]
Message = Annotated[str, typer.Option(envvar="MESSAGE", help="what the competition shows")]
Executor = Annotated[
    str,
    typer.Option(
        envvar="EXECUTOR",
        help="where members are trained: auto, serial, processes (side by side), or ray",
    ),
]
Seeds = Annotated[
    int, typer.Option(envvar="SEEDS", min=1, help="training seeds a recipe: 0 to this number - 1")
]
View = Annotated[
    str, typer.Option(envvar="VIEW", help=f"one of {', '.join(look.VIEWS)}; left out: all of them")
]
Part = Annotated[
    str, typer.Option(envvar="PART", help="validation or test rows; left out: what suits a view")
]
Start = Annotated[
    int | None, typer.Option(envvar="START", min=0, help="row number of the first digit")
]
Count = Annotated[int | None, typer.Option(envvar="COUNT", min=1, help="how many digits")]
RandomSeed = Annotated[int, typer.Option(envvar="SEED", min=0, help="which random digits")]
Digit = {"min": 0, "max": 9}
TrueLabel = Annotated[int | None, typer.Option("--true", envvar="TRUE", **Digit, help="a label")]
Predicted = Annotated[int | None, typer.Option(envvar="PREDICTED", **Digit, help="read as this")]
DEFAULT_RECIPE = "bn_cnn"
Json = Annotated[bool, typer.Option("--json", help="print JSON on stdout, all else on stderr")]

STAGES: dict[str, tuple[str, Callable[[Context], object]]] = {
    "data": ("Fetch the competition's files and check every cell.", data.data),
    "split": ("Hold out validation rows, and list exact duplicates.", split.split),
    "train": (
        "Train the recipe's networks, or go on with a run; nothing if it is done.",
        train.train,
    ),
    "ensemble": ("Average the checkpoints of one or more runs.", ensemble.ensemble),
    "submission": ("Write the CSV and the confusion heatmap.", submission.write_submission),
}

STAGES_BEFORE_RUNS = ("data", "split")


def _check_run(stage: str, run: str, recipe: str, changes: str, seed: int | None) -> None:
    """Raise PipelineError for a `RUN` that the stage, or what is given beside it, does not bear."""
    if run and stage in STAGES_BEFORE_RUNS:
        raise PipelineError(
            f"RUN is {run!r}, but make {stage} takes no RUN; leave it out, or use it with train, "
            "ensemble, submission, submit or look"
        )
    if run and (recipe != DEFAULT_RECIPE or changes or seed is not None):
        raise PipelineError(
            f"RUN is {run!r}, and a run has its own recipe; leave out RECIPE, SET and SEED, or "
            "leave out RUN to train another run"
        )


def _add_stage(name: str, text: str, run_stage: Callable[[Context], object]) -> None:
    """Enter a stage as a command with the options that all stages share."""

    @app.command(name, help=text)
    def command(
        source: Source = "auto",
        recipe: RecipeName = DEFAULT_RECIPE,
        seed: Seed = None,
        changes: Changes = "",
        practice_seed: PracticeSeed = 0,
        run: RunNames = "",
        force: Force = False,
        executor: Executor = "auto",
    ) -> None:
        with failures.told():
            _check_run(name, run, recipe, changes, seed)
            checked = recipes.load(recipe, changes, seed)
            names = tuple(run.split())
            request = Request(checked, source, practice_seed, names, "", force, executor)
            run_stage(Context(Path(), request, _say))


for _name, (_text, _run_stage) in STAGES.items():
    _add_stage(_name, _text, _run_stage)


@app.command("submit")
def submit_command(
    source: Source = "auto",
    recipe: RecipeName = DEFAULT_RECIPE,
    seed: Seed = None,
    changes: Changes = "",
    practice_seed: PracticeSeed = 0,
    run: RunNames = "",
    message: Message = "",
    force: Force = False,
    executor: Executor = "auto",
    as_json: Json = False,
) -> None:
    """Do all stages, upload the CSV and wait for its score."""
    with failures.told():
        _check_run("submit", run, recipe, changes, seed)
        checked = recipes.load(recipe, changes, seed)
        names = tuple(run.split())
        request = Request(checked, source, practice_seed, names, message, force, executor)
        outcome = submit.submit(Context(Path(), request, _say_aside if as_json else _say))
        if as_json:
            _print_json(outcome.as_json())
        else:
            for line in outcome.lines():
                _say(line)


@app.command("baselines")
def baselines_command(seeds: Seeds = 1, force: Force = False, as_json: Json = False) -> None:
    """Train the seed tutorials' systems, and print reported beside measured accuracy.

    Recipe, source and training seeds of each are given.
    """
    with failures.told():
        report = _say_aside if as_json else _say
        rows = baselines.baselines(Path(), seeds, report, force=force)
        if as_json:
            _print_json([row.as_json() for row in rows])
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
    seed: RandomSeed = 0,
) -> None:
    """Look at a run: digits, probabilities, confusions, curves, parameters, model files."""
    with failures.told():
        names = tuple(run.split())
        request = Request(source=source, practice_seed=practice_seed, runs=names)
        wanted = look.Wanted(view, part, start, count, true, predicted, seed)
        look.look(Context(Path(), request, _say), wanted)


@app.command("compare")
def compare_command(as_json: Json = False) -> None:
    """Print all runs, best first, with intervals and paired tests."""
    with failures.told():
        # SciPy and scikit-learn take seconds to import; other commands need not wait for them.
        from pipeline.evaluation import compare, compare_table

        comparison = compare.compare(_store().all(), _ledger().uploads())
        if as_json:
            _print_json(comparison.as_json())
        else:
            compare_table.show(comparison)


@app.command("report")
def report_command() -> None:
    """Write all runs on one page: the comparison, and each one's settings and pictures."""
    with failures.told():
        from pipeline.evaluation import compare, report

        found = _store().all()
        path = Path() / "runs" / "report.html"
        comparison = compare.compare(found, _ledger().uploads())
        report.write(path, comparison, found, Path() / "submissions")
        _say(f"wrote {path} ({len(found)} runs)")


@app.command("runs")
def runs_command(as_json: Json = False) -> None:
    """List all runs with their states and those of their members, oldest first."""
    with failures.told():
        found = _store().all()
        if as_json:
            _print_json([runs.as_json(run) for run in found])
            return
        for run in found:
            for line in runs.describe(run):
                _say(line)
        if not found:
            _say("no runs yet; make submit makes one")


@app.command("doctor")
def doctor_command() -> None:
    """Print what is there and what is missing, each with its fix."""
    with failures.told():
        for finding in doctor.examine(Path()):
            fix = f"  -> {finding.fix}" if finding.fix else ""
            _say(f"{finding.subject:<20}{finding.found}{fix}")


def main() -> None:
    """Run the command line. It exits with 0, 1, 2 or 130; the README lists what they mean."""
    app()


def _store() -> RunStore:
    return RunStore(Path() / "runs")


def _ledger() -> Ledger:
    return Ledger(Path() / "submissions" / "ledger.csv")


def _say(line: str) -> None:
    print(line, flush=True)


def _say_aside(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
