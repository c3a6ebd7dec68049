"""The stage `look`: one view of a run, or all of them, printed and saved as pictures.

Matplotlib and seaborn take seconds to import: they are loaded where something is drawn, so that
the command line can name the views without them.
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

    from pipeline.evaluation.views import Rows, Views


@dataclass(frozen=True)
class Wanted:
    """What a person wants to see: the variables of `make look`, None or empty where not given."""

    view: str = ""
    part: str = ""
    start: int | None = None
    count: int | None = None
    true: int | None = None
    predicted: int | None = None
    seed: int = 0

    @property
    def first(self) -> int:
        """The row number to begin at."""
        return self.start or 0

    @property
    def pair(self) -> tuple[int, int] | None:
        """The label and the prediction asked for, if any."""
        if self.true is None or self.predicted is None:
            return None
        return self.true, self.predicted

    @property
    def counted(self) -> dict[str, int]:
        """The number of digits, if given; else a view shows as many as suit it."""
        return {} if self.count is None else {"count": self.count}


@dataclass(frozen=True)
class Shown:
    """What a view comes to: lines to print, pictures by file name, or both."""

    lines: tuple[str, ...] = ()
    pictures: Mapping[str, Figure] = field(default_factory=dict)


def _digits(views: Views, wanted: Wanted) -> Shown:
    return Shown(pictures={"digits": views.digits(wanted.first, **wanted.counted)})


def _random(views: Views, wanted: Wanted) -> Shown:
    return Shown(pictures={"random": views.random_digits(seed=wanted.seed, **wanted.counted)})


def _probabilities(views: Views, wanted: Wanted) -> Shown:
    return Shown(pictures={"probabilities": views.probabilities(wanted.first, **wanted.counted)})


def _pixels(views: Views, wanted: Wanted) -> Shown:
    return Shown((views.pixels(wanted.first),))


def _curves(views: Views, wanted: Wanted) -> Shown:
    members = [member.index for member in views.run.record.members if member.epochs]
    return Shown(pictures={f"curves-{index}": views.curves(index) for index in members})


def _confusion(views: Views, wanted: Wanted) -> Shown:
    return Shown((views.crosstab().to_string(),), {"confusion": views.confusion()})


def _confused(views: Views, wanted: Wanted) -> Shown:
    true, predicted = wanted.pair or views.most_confused()
    table = views.confused(true, predicted)
    told = f"label {true}, read as {predicted}: {len(table):,} of {len(views.rows.images):,} rows"
    if table.empty:
        return Shown((told,))
    drawn = views.confused_digits(true, predicted, **wanted.counted)
    lines = (told, table.to_string(index=False, float_format="{:.4f}".format))
    return Shown(lines, {f"confused-{true}-{predicted}": drawn})


def _parameters(views: Views, wanted: Wanted) -> Shown:
    return Shown((f"of {views.checkpoint.name}:", views.parameters()))


def _model(views: Views, wanted: Wanted) -> Shown:
    written = views.export(views.run.folder / "look")
    return Shown(
        (
            f"wrote {', '.join(map(str, written))}",
            f"loaded again, both forms give the probabilities of {views.checkpoint.name}",
        )
    )


VIEWS: dict[str, Callable[[Views, Wanted], Shown]] = {
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
OF_LABELS = ("confusion", "confused")
"""Views that rows without labels do not have."""

OF_ONE_NETWORK = ("curves", "parameters", "model")
"""Views that an ensemble of several runs does not have, and that show no rows."""

PARTS = ("validation", "test")


def look(context: Context, wanted: Wanted) -> None:
    """Print and draw the view wanted, or all; pictures go to runs/<id>/look/.

    `TRUE` and `PREDICTED` alone mean the view "confused". Raises PipelineError.
    """
    _check(context, wanted)
    run = ensemble(context)

    from pipeline.evaluation.views import Views

    view = wanted.view or ("confused" if wanted.pair else "")
    opened: dict[str, Views] = {}
    for name in [view] if view else VIEWS:
        part = wanted.part or ("test" if name == "random" else "validation")
        if part not in opened:
            opened[part] = Views(run, rows(context, run, part))
        views = opened[part]
        missing = "" if view else _missing(name, views)
        part = "" if name in OF_ONE_NETWORK else part
        context.report(f"-- {name}{part and f', {part} rows'}{missing}")
        if not missing:
            _show(context, VIEWS[name](views, wanted), part, run)


def open_views(run: str, part: str = "validation", root: Path = Path()) -> Views:
    """Return the views of a run, for a notebook, silently.

    `run` is its id or a unique beginning, `part` "validation" or "test", `root` the folder that
    holds data/ and runs/. Raises PipelineError.
    """
    from pipeline.evaluation.views import Views

    context = Context(root, Request(runs=(run,)), report=lambda line: None)
    return Views(found := ensemble(context), rows(context, found, part))


def rows(context: Context, run: Run, part: str) -> Rows:
    """Return the rows of a scored run that `part` names. Raises PipelineError."""
    from pipeline.evaluation.views import Rows

    stored = run.load_arrays(part)
    dataset = context.dataset
    images = dataset.labelled.images if part == "validation" else dataset.test_images
    return Rows(
        name=part,
        images=images[stored["rows"]],
        row_ids=stored["rows"],
        labels=stored.get("labels"),
        probabilities=stored["probabilities"],
    )


def _check(context: Context, wanted: Wanted) -> None:
    """Raise PipelineError for a request that makes no sense."""
    runs = context.request.runs
    if len(runs) != 1:
        raise PipelineError(
            f"RUN is {' '.join(runs)!r}; make look draws one trained run: give its id, or a unique "
            "beginning of it (make runs lists them)"
        )
    if wanted.view and wanted.view not in VIEWS:
        raise PipelineError(f"VIEW is {wanted.view!r}; it must be one of {', '.join(VIEWS)}")
    if wanted.part and wanted.part not in PARTS:
        raise PipelineError(f"PART is {wanted.part!r}; it must be {' or '.join(PARTS)}")
    if (wanted.true is None) != (wanted.predicted is None):
        given = "TRUE" if wanted.predicted is None else "PREDICTED"
        raise PipelineError(f"only {given} is given; give both digits, as in TRUE=5 PREDICTED=3")
    if wanted.pair and wanted.view not in ("", "confused"):
        raise PipelineError(
            f"VIEW is {wanted.view!r}, which takes no TRUE and PREDICTED; leave VIEW or them out"
        )
    if not wanted.view and not wanted.pair and (wanted.start, wanted.count) != (None, None):
        raise PipelineError(
            "START and COUNT are for one view; name it, as in VIEW=digits START=100 COUNT=50"
        )


def _missing(name: str, views: Views) -> str:
    """Say why a run or its rows do not have this view; empty if they do."""
    if name in OF_ONE_NETWORK and views.run.record.parents:
        return ": none, as the run averages several"
    if name in OF_LABELS and views.rows.labels is None:
        return ": none, as their labels are not known"
    return ""


def _show(context: Context, shown: Shown, part: str, run: Run) -> None:
    """Print the lines and save the pictures, those of different rows apart."""
    from pipeline.evaluation import plots

    for line in shown.lines:
        context.report(line)
    for name, figure in shown.pictures.items():
        path = run.folder / "look" / f"{name}{part and f'-{part}'}.png"
        plots.save(figure, path)
        context.report(f"wrote {path}")
