"""The command `report`: all runs on one page."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.runs import RunStore
from pipeline.stages.context import Context


def write_report(context: Context, warn: Callable[[Mapping[Any, str]], None]) -> None:
    """Write runs/report.html. `warn` gets the runs that are left out, each with the reason."""
    # The page's libraries are imported for this command alone.
    from pipeline.evaluation import comparison, report

    store = RunStore(context.store.folder)  # what is left out is told once, by `warn`
    all_runs = store.all()
    result = comparison.compare(all_runs, context.ledger.uploads(), store.unreadable)
    warn(result.unreadable)
    tried, problems = report.read_searches(store.folder)
    warn(dict(enumerate(problems)))
    path = store.folder / "report.html"
    report.write(path, result, all_runs, tried, context.submissions_folder, context.data_folder)
    count = f"{len(all_runs)} run{'s' * (len(all_runs) != 1)}"
    if tried:
        count += f", {len(tried)} search{'es' * (len(tried) != 1)}"
    context.report(f"wrote {path} ({count})")
