"""The stage `compare`: all runs by recipe, or two of them in depth."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from pipeline.common.errors import PipelineError
from pipeline.stages.context import Context


@dataclass(frozen=True)
class CompareOptions:
    """The variables of `make compare`, and how its result is printed: as text, JSON or CSV."""

    where: str = ""
    sort: str = ""
    show_all: bool = False
    as_json: bool = False
    as_csv: bool = False


def compare(context: Context, options: CompareOptions) -> None:
    """Print the comparison of the runs that `WHERE` selects. Raises PipelineError."""
    # SciPy and scikit-learn take seconds to import. Other commands need not wait for them.
    from pipeline.evaluation import comparison
    from pipeline.evaluation.comparison import conditions, flat, order, table

    _check(options)
    if options.sort:
        order.check_order(options.sort)
    runs = context.store.all()
    known = dict(context.store.unreadable)  # reported already
    chosen = conditions.select(options.where, runs)
    result = comparison.compare(chosen, context.ledger.uploads(), known)
    for name in result.unreadable.keys() - known.keys():
        context.report(f"left out: {result.unreadable[name]}")
    if options.sort:
        result = order.ordered(result, options.sort)
    if options.as_json:
        print(json.dumps(result.as_json(), indent=2))
    elif options.as_csv:
        flat.write_csv(result, sys.stdout)
    elif runs and not chosen:
        print(f"none of {len(runs)} runs fits WHERE; leave it out to see all")
    else:
        table.show(result, options.show_all)


def _check(options: CompareOptions) -> None:
    """Raise PipelineError for options that do not go together."""
    if options.as_json and options.as_csv:
        raise PipelineError("--json and --csv are given; leave one of them out")
