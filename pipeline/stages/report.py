"""The command `report`: all runs on one page."""

from collections.abc import Callable, Mapping

from pipeline.runs import RunStore
from pipeline.stages.context import Context


def write_report(context: Context, warn: Callable[[Mapping[str, str]], None]) -> None:
    """Write runs/report.html. `warn` gets the runs that are left out, each with the reason."""
    # The page's libraries are imported for this command alone.
    from pipeline.evaluation import comparison, report

    store = RunStore(context.store.folder)  # what is left out is told once, by `warn`
    all_runs = store.all()
    result = comparison.compare(all_runs, context.ledger.uploads(), store.unreadable)
    warn(result.unreadable)
    path = store.folder / "report.html"
    report.write(path, result, all_runs, context.submissions_folder, context.data_folder)
    context.report(f"wrote {path} ({len(all_runs)} run{'s' * (len(all_runs) != 1)})")
