"""The stage `look`: prints one view of a run, or all of them, and saves their pictures.

Matplotlib and seaborn take seconds to import. They are imported where something is drawn, so that
the command line can list the views without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.common.errors import PipelineError
from pipeline.recipe.spelling import suggestion
from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.request import Request

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.evaluation.views import Views


@dataclass(frozen=True)
class LookOptions:
    """The variables of `make look`; None or empty where a person left them out."""

    view: str = ""
    part: str = ""
    start: int | None = None
    count: int | None = None
    true: int | None = None
    predicted: int | None = None
    seed: int | None = None

    def given(self) -> dict[str, int]:
        """Return the numbers as arguments, without those left out: views have defaults."""
        numbers = asdict(self)
        del numbers["view"], numbers["part"]
        return {name: number for name, number in numbers.items() if number is not None}


@dataclass(frozen=True)
class ViewOutput:
    """What a view gives: lines to print, and pictures by file name."""

    lines: list[str] = field(default_factory=list)
    pictures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """A view, and the numbers of `LookOptions` that it takes as arguments."""

    show: Callable[..., ViewOutput]
    takes: tuple[str, ...] = ()


def _confused(
    views: Views, true: int | None = None, predicted: int | None = None, **count: int
) -> ViewOutput:
    if true is None or predicted is None:
        true, predicted = views.most_confused()
    table = views.confused(true, predicted)
    summary = (
        f"label {true}, predicted as {predicted}: {len(table):,} of {len(views.rows.images):,} rows"
    )
    if table.empty:
        return ViewOutput([summary])
    figure = views.confused_digits(true, predicted, **count)
    lines = [summary, table.to_string(index=False, float_format="{:.4f}".format)]
    return ViewOutput(lines, {f"confused-{true}-{predicted}": figure})


def _curves(views: Views) -> dict[str, Figure]:
    members = [member.index for member in views.run.record.members if member.epochs]
    return {f"curves-{index}": views.curves(index) for index in members}


def _model(views: Views) -> list[str]:
    paths = views.export(views.run.folder / "look")
    return [
        f"wrote {', '.join(map(str, paths))}",
        f"checked: when loaded, both forms give the probabilities of {views.checkpoint.name}",
    ]


VIEWS = {
    "digits": View(
        lambda views, **given: ViewOutput(pictures={"digits": views.digits(**given)}),
        ("start", "count"),
    ),
    "random": View(
        lambda views, **given: ViewOutput(pictures={"random": views.random_digits(**given)}),
        ("count", "seed"),
    ),
    "probabilities": View(
        lambda views, **given: ViewOutput(pictures={"probabilities": views.probabilities(**given)}),
        ("start", "count"),
    ),
    "pixels": View(lambda views, **given: ViewOutput([views.pixels(**given)]), ("start",)),
    "confusion": View(
        lambda views: ViewOutput([views.crosstab().to_string()], {"confusion": views.confusion()})
    ),
    "confused": View(_confused, ("true", "predicted", "count")),
    "curves": View(lambda views: ViewOutput(pictures=_curves(views))),
    "parameters": View(
        lambda views: ViewOutput([f"layers of {views.checkpoint.name}:", views.parameters()])
    ),
    "model": View(lambda views: ViewOutput(_model(views))),
}
LABEL_VIEWS = ("confusion", "confused")
"""Views that need rows with labels."""

NETWORK_VIEWS = ("curves", "parameters", "model")
"""Views of a network of the run's own: they show no rows, and ensembles of runs lack them."""

PARTS = ("validation", "test")


def look(context: Context, options: LookOptions) -> None:
    """Print and draw one view of the request's run, or all; pictures go to runs/<id>/look/.

    `TRUE` and `PREDICTED` without `VIEW` mean the view "confused". Raises PipelineError.
    """
    _check_options(context, options)
    run = ensemble(context)

    from pipeline.evaluation import plots

    views_of = cache(lambda part: _views(context, run, part))
    chosen = options.view or ("" if options.true is None else "confused")
    for name in [chosen] if chosen else VIEWS:
        part = options.part or ("test" if name == "random" else "validation")
        views = views_of(part)
        reason = "" if chosen else _reason_to_skip(name, views)
        part = "" if name in NETWORK_VIEWS else part
        context.report(f"-- {name}{part and f', {part} rows'}{reason}")
        if reason:
            continue
        view = VIEWS[name]
        given = {key: number for key, number in options.given().items() if key in view.takes}
        try:
            output = view.show(views, **given)
        except PipelineError as error:
            if chosen or name != "curves":
                raise
            context.report(f"none: {error}")
            continue
        for line in "\n".join(output.lines).splitlines():  # some hold a whole table
            context.report(line)
        for picture, figure in output.pictures.items():
            path = run.folder / "look" / f"{picture}{part and f'-{part}'}.png"
            plots.save(figure, path)
            context.report(f"wrote {path}")


def open_views(run: str, part: str = "validation", root: Path = Path()) -> Views:
    """Return the views of a run for a notebook; nothing is printed.

    `run` is an id or a unique beginning of one; `part` is "validation" or "test"; `root` is the
    folder that holds data/ and runs/. Raises PipelineError.
    """
    context = Context(root, Request(runs=(run,)), report=lambda line: None)
    return _views(context, ensemble(context), part)


def _views(context: Context, run: Run, part: str) -> Views:
    """Return the views of a scored run on its validation or test rows, as `part` says."""
    from pipeline.evaluation.views import PredictedRows, Views

    stored = run.load_arrays(part)
    digits = context.dataset
    images = digits.labelled.images if part == "validation" else digits.test_images
    if stored["rows"][-1] >= len(images):
        raise PipelineError(
            f"{run.folder / part}.npz has row {stored['rows'][-1]:,}, but the data has "
            f"{len(images):,} rows; make ensemble RUN={run.id} FORCE=1 makes it again"
        )
    rows = PredictedRows(
        name=part,
        images=images[stored["rows"]],
        row_ids=stored["rows"],
        labels=stored.get("labels"),
        probabilities=stored["probabilities"],
    )
    return Views(run, rows)


def _check_options(context: Context, options: LookOptions) -> None:
    """Raise PipelineError for options that are unknown or do not go together."""
    runs = context.request.runs
    if len(runs) != 1:
        given = repr(" ".join(runs)) if runs else "left out"
        raise PipelineError(
            f"RUN is {given}; make look draws one trained run: give its id, or a unique "
            "beginning of it (make runs lists them)"
        )
    if options.view and options.view not in VIEWS:
        hint = suggestion(options.view, VIEWS)
        raise PipelineError(f"VIEW is {options.view!r}{hint}; it must be one of {', '.join(VIEWS)}")
    if options.part and options.part not in PARTS:
        raise PipelineError(f"PART is {options.part!r}; it must be {' or '.join(PARTS)}")
    if (options.true is None) != (options.predicted is None):
        given = "TRUE" if options.predicted is None else "PREDICTED"
        raise PipelineError(f"only {given} is given; give both digits, as in TRUE=5 PREDICTED=3")
    view = options.view or ("" if options.true is None else "confused")
    numbers = options.given()
    if not view and {"start", "count"} & numbers.keys():
        raise PipelineError(
            "START and COUNT are for one view; name it, as in VIEW=digits START=100 COUNT=50"
        )
    unused = [name.upper() for name in numbers if view and name not in VIEWS[view].takes]
    if options.part and view in NETWORK_VIEWS:
        unused.append("PART")
    if unused:
        names, subject = " and ".join(unused), "TRUE and PREDICTED take"
        if options.view:
            subject = f"VIEW is {view!r}, which takes"
        raise PipelineError(f"{subject} no {names}; leave out {names}")


def _reason_to_skip(name: str, views: Views) -> str:
    """Return why a run or its rows cannot have this view; empty if they can."""
    if name in NETWORK_VIEWS and views.run.record.parents:
        return ": none, because the run averages several runs"
    if name in LABEL_VIEWS and views.rows.labels is None:
        return ": none, because their labels are not known"
    return ""
