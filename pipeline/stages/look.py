"""The stage `look`: prints one view of a run, or all of them, and saves their pictures.

Matplotlib and seaborn take seconds to import. They are imported where something is drawn, so that
the command line can list the views without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.common.errors import PipelineError
from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.request import Request

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.evaluation.views import PredictedRows, Views


@dataclass(frozen=True)
class LookOptions:
    """The variables of `make look`; None or empty where a person left them out."""

    view: str = ""
    part: str = ""
    start: int | None = None
    count: int | None = None
    true: int | None = None
    predicted: int | None = None
    seed: int = 0

    @property
    def first_row(self) -> int:
        """The row number at which a view begins."""
        return self.start or 0

    @property
    def digit_pair(self) -> tuple[int, int] | None:
        """The label and the prediction of the view "confused", or None where left out."""
        if self.true is None or self.predicted is None:
            return None
        return self.true, self.predicted

    @property
    def count_argument(self) -> dict[str, int]:
        """The keyword argument `count`, or none where left out: each view has its own default."""
        return {} if self.count is None else {"count": self.count}


@dataclass(frozen=True)
class ViewOutput:
    """What a view gives: lines to print, and pictures by file name."""

    lines: tuple[str, ...] = ()
    pictures: Mapping[str, Figure] = field(default_factory=dict)


def _digits(views: Views, options: LookOptions) -> ViewOutput:
    figure = views.digits(options.first_row, **options.count_argument)
    return ViewOutput(pictures={"digits": figure})


def _random(views: Views, options: LookOptions) -> ViewOutput:
    figure = views.random_digits(seed=options.seed, **options.count_argument)
    return ViewOutput(pictures={"random": figure})


def _probabilities(views: Views, options: LookOptions) -> ViewOutput:
    figure = views.probabilities(options.first_row, **options.count_argument)
    return ViewOutput(pictures={"probabilities": figure})


def _pixels(views: Views, options: LookOptions) -> ViewOutput:
    return ViewOutput((views.pixels(options.first_row),))


def _curves(views: Views, options: LookOptions) -> ViewOutput:
    members = [member.index for member in views.run.record.members if member.epochs]
    return ViewOutput(pictures={f"curves-{index}": views.curves(index) for index in members})


def _confusion(views: Views, options: LookOptions) -> ViewOutput:
    return ViewOutput((views.crosstab().to_string(),), {"confusion": views.confusion()})


def _confused(views: Views, options: LookOptions) -> ViewOutput:
    true, predicted = options.digit_pair or views.most_confused()
    table = views.confused(true, predicted)
    summary = (
        f"label {true}, predicted as {predicted}: {len(table):,} of {len(views.rows.images):,} rows"
    )
    if table.empty:
        return ViewOutput((summary,))
    figure = views.confused_digits(true, predicted, **options.count_argument)
    lines = (summary, table.to_string(index=False, float_format="{:.4f}".format))
    return ViewOutput(lines, {f"confused-{true}-{predicted}": figure})


def _parameters(views: Views, options: LookOptions) -> ViewOutput:
    return ViewOutput((f"layers of {views.checkpoint.name}:", views.parameters()))


def _model(views: Views, options: LookOptions) -> ViewOutput:
    paths = views.export(views.run.folder / "look")
    return ViewOutput(
        (
            f"wrote {', '.join(map(str, paths))}",
            f"checked: when loaded, both forms give the probabilities of {views.checkpoint.name}",
        )
    )


VIEWS: dict[str, Callable[[Views, LookOptions], ViewOutput]] = {
    "digits": _digits,
    "random": _random,
    "probabilities": _probabilities,
    "pixels": _pixels,
    "confusion": _confusion,
    "confused": _confused,
    "curves": _curves,
    "parameters": _parameters,
    "model": _model,
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

    from pipeline.evaluation.views import Views

    chosen = options.view or ("confused" if options.digit_pair else "")
    views_of: dict[str, Views] = {}
    for name in [chosen] if chosen else VIEWS:
        part = options.part or ("test" if name == "random" else "validation")
        if part not in views_of:
            views_of[part] = Views(run, predicted_rows(context, run, part))
        views = views_of[part]
        reason = "" if chosen else _reason_to_skip(name, views)
        part = "" if name in NETWORK_VIEWS else part
        context.report(f"-- {name}{part and f', {part} rows'}{reason}")
        if not reason:
            _write(context, VIEWS[name](views, options), part, run)


def open_views(run: str, part: str = "validation", root: Path = Path()) -> Views:
    """Return the views of a run for a notebook; nothing is printed.

    `run` is an id or a unique beginning of one; `part` is "validation" or "test"; `root` is the
    folder that holds data/ and runs/. Raises PipelineError.
    """
    from pipeline.evaluation.views import Views

    context = Context(root, Request(runs=(run,)), report=lambda line: None)
    scored_run = ensemble(context)
    return Views(scored_run, predicted_rows(context, scored_run, part))


def predicted_rows(context: Context, run: Run, part: str) -> PredictedRows:
    """Return the validation or test rows of a scored run, as `part` says.

    Raises PipelineError if they cannot be read.
    """
    from pipeline.evaluation.views import PredictedRows

    stored = run.load_arrays(part)
    dataset = context.dataset
    images = dataset.labelled.images if part == "validation" else dataset.test_images
    return PredictedRows(
        name=part,
        images=images[stored["rows"]],
        row_ids=stored["rows"],
        labels=stored.get("labels"),
        probabilities=stored["probabilities"],
    )


def _check_options(context: Context, options: LookOptions) -> None:
    """Raise PipelineError for options that are unknown or do not go together."""
    runs = context.request.runs
    if len(runs) != 1:
        raise PipelineError(
            f"RUN is {' '.join(runs)!r}; make look draws one trained run: give its id, or a unique "
            "beginning of it (make runs lists them)"
        )
    if options.view and options.view not in VIEWS:
        raise PipelineError(f"VIEW is {options.view!r}; it must be one of {', '.join(VIEWS)}")
    if options.part and options.part not in PARTS:
        raise PipelineError(f"PART is {options.part!r}; it must be {' or '.join(PARTS)}")
    if (options.true is None) != (options.predicted is None):
        given = "TRUE" if options.predicted is None else "PREDICTED"
        raise PipelineError(f"only {given} is given; give both digits, as in TRUE=5 PREDICTED=3")
    if options.digit_pair and options.view not in ("", "confused"):
        raise PipelineError(
            f"VIEW is {options.view!r}, which takes no TRUE and PREDICTED; leave out VIEW, or "
            "leave out TRUE and PREDICTED"
        )
    no_view = not options.view and not options.digit_pair
    if no_view and (options.start, options.count) != (None, None):
        raise PipelineError(
            "START and COUNT are for one view; name it, as in VIEW=digits START=100 COUNT=50"
        )


def _reason_to_skip(name: str, views: Views) -> str:
    """Return why a run or its rows cannot have this view; empty if they can."""
    if name in NETWORK_VIEWS and views.run.record.parents:
        return ": none, because the run averages several runs"
    if name in LABEL_VIEWS and views.rows.labels is None:
        return ": none, because their labels are not known"
    return ""


def _write(context: Context, output: ViewOutput, part: str, run: Run) -> None:
    """Print a view's lines and save its pictures; the file names end with the part."""
    from pipeline.evaluation import plots

    for line in output.lines:
        context.report(line)
    for name, figure in output.pictures.items():
        path = run.folder / "look" / f"{name}{part and f'-{part}'}.png"
        plots.save(figure, path)
        context.report(f"wrote {path}")
