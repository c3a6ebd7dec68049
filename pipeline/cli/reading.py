"""The commands that look at what is there: runs, their comparison, the installation."""

from collections.abc import Mapping

from pipeline import runs
from pipeline.cli.app import HERE, app
from pipeline.runs import RunStore
from pipeline.stages import audit, compare, doctor, look, report
from pipeline.stages.context import Context
from pipeline.stages.options import (
    Count,
    Csv,
    Json,
    OneRun,
    Part,
    PracticeSeed,
    Predicted,
    RandomSeed,
    Root,
    RunNames,
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
from pipeline.stages.request import Request


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


@app.command("audit")
def audit_command(
    run: OneRun = "",
    count: Count = None,
    source: Source = "auto",
    practice_seed: PracticeSeed = 0,
    as_json: Json = False,
    root: Root = HERE,
) -> None:
    """Rank labels that look wrong, and list near duplicates. Changes no label."""
    report = print_aside if as_json else print_line
    request = Request.parse("audit", run=run, source=source, practice_seed=practice_seed)
    print_result(audit.audit(Context(root, request, report), count), as_json)


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
    """List all runs with their sizes, their states and those of their members, oldest first."""
    store = RunStore(root / "runs")
    all_runs = store.all()
    _warn(store.unreadable)
    if as_json:
        left_out = [
            runs.unreadable_as_json(store.folder / name, reason)
            for name, reason in store.unreadable.items()
        ]
        print_json([*map(runs.as_json, all_runs), *left_out])
        return
    for run in all_runs:
        for line in runs.describe(run):
            print_line(line)
    print_line(runs.describe_all(all_runs, [store.folder / name for name in store.unreadable]))


@app.command("doctor")
def doctor_command(root: Root = HERE) -> None:
    """Print what is there and what is missing, each with its fix."""
    for finding in doctor.examine(root):
        fix = f"  -> {finding.fix}" if finding.fix else ""
        print_line(f"{finding.subject:<20}{finding.state}{fix}")


def _warn(unreadable: Mapping[str, str]) -> None:
    """Print one line on stderr for each run that is left out."""
    for reason in unreadable.values():
        print_aside(f"left out: {reason}")
