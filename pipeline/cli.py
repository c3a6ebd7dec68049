"""The commands of `python -m pipeline`: options in, a stage called, its result printed.

Every option can also be given as the environment variable of its name, and so as the Makefile
variable. The stages import TensorFlow where they need it. This module never does.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import runs
from pipeline.common.errors import exit_codes
from pipeline.common.progress import Report
from pipeline.common.provenance import command_as_typed
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
from pipeline.stages.context import Context
from pipeline.stages.request import DEFAULT_RECIPE, Request

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From a fresh clone to a scored submission for Kaggle's digit-recognizer.",
)


def _option(name: str, text: str, *flags: str, **limits: Any) -> Any:
    """Return an option that the environment variable `name` sets too."""
    return typer.Option(*flags, envvar=name, help=text, **limits)


Source = Annotated[
    str,
    _option(
        "SOURCE",
        "auto (kaggle if credentials are found, else practice), kaggle, practice, mnist "
        "(60,000 and 10,000 digits, not submitted), or a folder with train.csv and test.csv",
    ),
]
RecipeName = Annotated[str, _option("RECIPE", "a recipe's name, or the path of a .toml file")]
Seed = Annotated[int | None, _option("SEED", "random seed, instead of the recipe's", min=0)]
Settings = Annotated[str, _option("SET", 'changed recipe keys: "training.epochs=3 ..."', "--set")]
PracticeSeed = Annotated[int, _option("PRACTICE_SEED", "which draw of the practice digits", min=0)]
RunNames = Annotated[str, _option("RUN", "id, or unique beginning, of one run or several", "--run")]
Force = Annotated[bool, _option("FORCE", "train or upload again what is done already")]
Message = Annotated[str, _option("MESSAGE", "text that the competition shows with the CSV")]
Executor = Annotated[
    str,
    _option(
        "EXECUTOR", "where members are trained: auto, serial, processes (side by side), or ray"
    ),
]
Seeds = Annotated[int, _option("SEEDS", "random seeds per recipe: 0 to this number - 1", min=1)]
View = Annotated[str, _option("VIEW", f"one of {', '.join(look.VIEWS)}; left out: all of them")]
Part = Annotated[str, _option("PART", "validation or test rows; left out: what fits the view")]
Start = Annotated[int | None, _option("START", "row number of the first digit", min=0)]
Count = Annotated[int | None, _option("COUNT", "number of digits", min=1)]
RandomSeed = Annotated[int, _option("SEED", "chooses the random digits", min=0)]
TrueLabel = Annotated[int | None, _option("TRUE", "the label", "--true", min=0, max=9)]
Predicted = Annotated[int | None, _option("PREDICTED", "the prediction", min=0, max=9)]
Json = Annotated[bool, typer.Option("--json", help="print JSON on stdout, all else on stderr")]
Root = Annotated[
    Path,
    typer.Option(
        help="the folder that holds data/, runs/ and submissions/", exists=True, file_okay=False
    ),
]

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
        root: Root = HERE,
    ) -> None:
        with exit_codes():
            run_stage(_context(name, command, _print))


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
    as_json: Json = False,
    root: Root = HERE,
) -> None:
    """Do all stages, upload the CSV and wait for its score."""
    with exit_codes():
        result = submit.submit(_context("submit", command, _print_aside if as_json else _print))
        if as_json:
            _print_json(result.as_json())
        else:
            for line in result.lines():
                _print(line)


@app.command("baselines")
def baselines_command(
    seeds: Seeds = 1, force: Force = False, as_json: Json = False, root: Root = HERE
) -> None:
    """Train the tutorials' systems, and print reported beside measured accuracy.

    The recipe, source and random seeds of each are fixed.
    """
    with exit_codes():
        report = _print_aside if as_json else _print
        rows = baselines.baselines(root, seeds, report, force=force)
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
    root: Root = HERE,
) -> None:
    """Look at a run: digits, probabilities, confusions, curves, parameters, model files."""
    with exit_codes():
        request = Request.parse("look", run=run, source=source, practice_seed=practice_seed)
        options = look.LookOptions(view, part, start, count, true, predicted, seed)
        look.look(Context(root, request, _print), options)


@app.command("compare")
def compare_command(as_json: Json = False, root: Root = HERE) -> None:
    """Print all runs, best first, with intervals and paired tests."""
    with exit_codes():
        # SciPy and scikit-learn take seconds to import. Other commands need not wait for them.
        from pipeline.evaluation import compare, compare_table

        store = _store(root)
        all_runs = store.all()
        comparison = compare.compare(all_runs, _ledger(root).uploads(), store.unreadable)
        _warn(comparison.unreadable)
        if as_json:
            _print_json(comparison.as_json())
        else:
            compare_table.show(comparison)


@app.command("report")
def report_command(root: Root = HERE) -> None:
    """Write all runs on one page: the comparison, and each run's settings and pictures."""
    with exit_codes():
        from pipeline.evaluation import compare, report

        store = _store(root)
        all_runs = store.all()
        path = root / "runs" / "report.html"
        comparison = compare.compare(all_runs, _ledger(root).uploads(), store.unreadable)
        _warn(comparison.unreadable)
        report.write(path, comparison, all_runs, root / "submissions")
        _print(f"wrote {path} ({len(all_runs)} runs)")


@app.command("runs")
def runs_command(as_json: Json = False, root: Root = HERE) -> None:
    """List all runs with their states and those of their members, oldest first."""
    with exit_codes():
        store = _store(root)
        all_runs = store.all()
        _warn(store.unreadable)
        if as_json:
            left_out = [runs.unreadable_as_json(*one) for one in store.unreadable.items()]
            _print_json([*map(runs.as_json, all_runs), *left_out])
            return
        for run in all_runs:
            for line in runs.describe(run):
                _print(line)
        if not all_runs and not store.unreadable:
            _print("no runs yet; make submit makes one")


@app.command("doctor")
def doctor_command(root: Root = HERE) -> None:
    """Print what is there and what is missing, each with its fix."""
    with exit_codes():
        for finding in doctor.examine(root):
            fix = f"  -> {finding.fix}" if finding.fix else ""
            _print(f"{finding.subject:<20}{finding.state}{fix}")


def main() -> None:
    """Run the command line. It exits with 0, 1, 2 or 130; docs/how-it-works.md explains them."""
    app()


def _context(stage: str, command: typer.Context, report: Report) -> Context:
    """Return the context of a stage from the values of all its command's options."""
    options = {key: value for key, value in command.params.items() if key != "as_json"}
    root = options.pop("root")
    return Context(root, Request.parse(stage, command=_command(), **options), report)


def _command() -> str:
    """Return the command as typed, with the variables that any command takes."""
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    variables = {option.envvar for command in commands for option in command.params}
    return command_as_typed(sorted({*variables, "RAY_ADDRESS"} - {None}))


def _store(root: Path) -> RunStore:
    return RunStore(root / "runs")


def _ledger(root: Path) -> Ledger:
    return Ledger(root / "submissions" / "ledger.csv")


def _warn(unreadable: Mapping[str, str]) -> None:
    """Print one line on stderr for each run that is left out."""
    for reason in unreadable.values():
        _print_aside(f"left out: {reason}")


def _print(line: str) -> None:
    print(line, flush=True)


def _print_aside(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
