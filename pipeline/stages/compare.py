"""The stage `compare`: all runs by recipe, or two of them in depth."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.printing import print_json, print_line

if TYPE_CHECKING:
    from pipeline.evaluation.comparison.model import Comparison


@dataclass(frozen=True)
class CompareOptions:
    """The variables of `make compare`, and how its result is printed: as text, JSON or CSV."""

    where: str = ""
    sort: str = ""
    show_all: bool = False
    as_json: bool = False
    as_csv: bool = False


def compare(context: Context, options: CompareOptions) -> None:
    """Print the comparison of the runs that `WHERE` selects, or that of the two in `RUN`.

    Raises PipelineError.
    """
    if options.as_json and options.as_csv:
        raise PipelineError("--json and --csv are given; leave one of them out")
    if context.request.runs:
        _compare_two(context, options)
    else:
        _compare_all(context, options)


def _compare_all(context: Context, options: CompareOptions) -> None:
    # SciPy and scikit-learn take seconds to import. Other commands need not wait for them.
    from pipeline.evaluation.comparison import conditions, flat, order, table

    if options.sort:
        order.check_order(options.sort)
    runs = context.store.all()
    chosen = conditions.select(options.where, runs)
    result = _comparison(context, chosen, runs)
    if options.sort:
        result = order.ordered(result, options.sort)
    if options.as_json:
        print_json(result.as_json())
    elif options.as_csv:
        flat.write_csv(result, sys.stdout)
    elif runs and not chosen:
        print_line(f"none of {len(runs)} runs fits WHERE; leave it out to see all")
    else:
        table.show(result, options.show_all, options.sort)


def show_runs(context: Context, runs: list[Run]) -> None:
    """Print the comparison of these runs."""
    from pipeline.evaluation.comparison import table

    table.show(_comparison(context, runs, context.store.all()))


def _comparison(context: Context, chosen: list[Run], runs: list[Run]) -> Comparison:
    """Compare the chosen ones of all runs. Report those that cannot be read."""
    from pipeline.evaluation import comparison

    known = dict(context.store.unreadable)  # the store has reported them
    result = comparison.compare(chosen, context.ledger.uploads(), known, parents=runs)
    for name in sorted(result.unreadable.keys() - known.keys()):
        context.report(f"left out: {result.unreadable[name]}")
    return result


def _compare_two(context: Context, options: CompareOptions) -> None:
    """Print the two runs that `RUN` names, and draw their pictures into runs/compare/."""
    _check_two(context, options)
    from pipeline.evaluation.comparison import two_pictures, two_runs, two_runs_text

    first, second = context.chosen_runs
    result, disagreement = two_runs.compare_two(
        first, second, context.store.all(), context.ledger.uploads()
    )
    if options.as_json:
        print_json(result.as_json())
    else:
        two_runs_text.show(result)
    folder, names = context.store.folder / "compare", (first.id, second.id)

    def draw_digits() -> Path:
        images = _images(context, first, disagreement.rows)
        return two_pictures.draw_digits(names, disagreement, images, folder)

    def draw_curves() -> Path:
        return two_pictures.draw_curves(first, second, folder)

    tell = context.report if options.as_json else print_line
    for subject, draw in (("digits", draw_digits), ("curves", draw_curves)):
        try:
            tell(f"wrote {draw()}")
        except PipelineError as error:
            context.report(f"no picture of the {subject}: {error}")


def _check_two(context: Context, options: CompareOptions) -> None:
    """Raise PipelineError unless `RUN` names two runs, with nothing else that chooses runs."""
    names = printable(repr(" ".join(context.request.runs)))
    if len(context.request.runs) == 2 and len(context.chosen_runs) == 1:
        raise PipelineError(f"RUN is {names}, twice the same run; give the ids of two runs")
    if len(context.chosen_runs) != 2:
        raise PipelineError(
            f"RUN is {names}; make compare takes the ids of two runs, or unique beginnings of "
            'them, as in RUN="a b" (make runs lists them)'
        )
    given = {"WHERE": options.where, "SORT": options.sort, "ALL": options.show_all}
    unused = [name for name, value in {**given, "--csv": options.as_csv}.items() if value]
    if unused:
        raise PipelineError(
            f"RUN is {names}, with which make compare shows two runs and takes no "
            f"{' or '.join(unused)}; leave that out, or RUN"
        )


def _images(context: Context, run: Run, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the images of these labelled rows. Raises PipelineError where they cannot be had."""
    dataset = context.dataset
    if dataset.fingerprint != run.record.data_fingerprint:
        raise PipelineError(
            f"the data of {printable(run.record.source)} are no longer those of run {run.id}; "
            "bring them back"
        )
    return np.asarray(dataset.labelled.images[rows])
