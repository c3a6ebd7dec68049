"""The stage `look`: one view of a run, or all of them, printed and saved as pictures.

Matplotlib and seaborn take seconds to import: they are loaded where something is drawn, so that
the command line can name the views without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import recipe as recipes
from pipeline.errors import PipelineError
from pipeline.runs import Run
from pipeline.stages.context import Context, Request
from pipeline.stages.ensemble import ensemble

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.views import Rows, Views


@dataclass(frozen=True)
class Wanted:
    """What a person wants to see: the variables of `make look`, None where not given."""

    view: str = ""
    part: str = ""
    start: int = 0
    count: int | None = None
    true: int | None = None
    predicted: int | None = None
    seed: int = 0

    @property
    def counted(self) -> dict[str, int]:
        """The number of digits, if given; else a view shows as many as suit it."""
        return {} if self.count is None else {"count": self.count}


@dataclass(frozen=True)
class Shown:
    """What a view comes to: lines to print, pictures by file name, or both."""

    lines: tuple[str, ...] = ()
    pictures: tuple[tuple[str, Figure], ...] = ()


def _digits(views: Views, wanted: Wanted) -> Shown:
    return _picture("digits", views.digits(wanted.start, **wanted.counted))


def _random(views: Views, wanted: Wanted) -> Shown:
    return _picture("random", views.random_digits(seed=wanted.seed, **wanted.counted))


def _probabilities(views: Views, wanted: Wanted) -> Shown:
    return _picture("probabilities", views.probabilities(wanted.start, **wanted.counted))


def _pixels(views: Views, wanted: Wanted) -> Shown:
    text = views.pixels(wanted.start)
    return Shown((f"row {views.rows.row_ids[wanted.start]}:", text))


def _curves(views: Views, wanted: Wanted) -> Shown:
    members = [member.index for member in views.run.record.members]
    return Shown(pictures=tuple((f"curves-{index}", views.curves(index)) for index in members))


def _confusion(views: Views, wanted: Wanted) -> Shown:
    return Shown((views.crosstab().to_string(),), (("confusion", views.confusion()),))


def _confused(views: Views, wanted: Wanted) -> Shown:
    true, predicted = wanted.true, wanted.predicted
    if true is None or predicted is None:
        true, predicted = views.most_confused()
    table = views.confused(true, predicted)
    told = f"label {true}, read as {predicted}: {len(table):,} of {len(views.rows.images):,} rows"
    if table.empty:
        return Shown((told,))
    drawn = views.confused_digits(true, predicted, **wanted.counted)
    lines = (told, table.to_string(index=False, float_format="{:.4f}".format))
    return Shown(lines, ((f"confused-{true}-{predicted}", drawn),))


def _parameters(views: Views, wanted: Wanted) -> Shown:
    return Shown((views.parameters(),))


def _model(views: Views, wanted: Wanted) -> Shown:
    written = views.export(views.run.folder / "look")
    names = ", ".join(str(path) for path in written)
    return Shown((f"wrote {names}: loaded again, both forms give the checkpoint's probabilities",))


def _picture(name: str, figure: Figure) -> Shown:
    return Shown(pictures=((name, figure),))


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
OF_ONE_NETWORK = ("curves", "parameters", "model")
"""Views that an ensemble of several runs does not have."""

PARTS = ("validation", "test")


def look(context: Context, wanted: Wanted) -> None:
    """Print and draw the view wanted, or all; pictures go to runs/<id>/look/.

    `TRUE` and `PREDICTED` alone mean the view "confused". Raises PipelineError.
    """
    names = _names(context, wanted)
    run = ensemble(context)

    from pipeline.views import Views

    if not wanted.view and run.record.parents:
        names = [name for name in names if name not in OF_ONE_NETWORK]
    for name in names:
        part = wanted.part or ("test" if name == "random" else "validation")
        context.report(f"-- {name}, {part} rows" if name not in OF_ONE_NETWORK else f"-- {name}")
        _show(context, VIEWS[name], Views(run, rows(context, run, part)), wanted)


def open_views(run: str, part: str = "validation", root: Path = Path()) -> Views:
    """Return the views of a run, for a notebook, silently.

    `run` is its id or a unique beginning, `part` "validation" or "test", `root` the folder that
    holds data/ and runs/. Raises PipelineError.
    """
    from pipeline.views import Views

    request = Request(recipes.load("bn_cnn"), runs=(run,))
    context = Context(root, request, report=lambda line: None)
    return Views(found := ensemble(context), rows(context, found, part))


def rows(context: Context, run: Run, part: str) -> Rows:
    """Return the rows of a scored run that `part` names. Raises PipelineError."""
    if part not in PARTS:
        raise PipelineError(f"PART is {part!r}; it must be {' or '.join(PARTS)}")
    from pipeline.views import Rows

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


def _names(context: Context, wanted: Wanted) -> list[str]:
    """Return the views to show. Raises PipelineError for a request that makes no sense."""
    if not context.request.runs:
        raise PipelineError(
            "RUN is empty; make look draws a trained run: give its id, or a unique beginning of "
            "it (make runs lists them)"
        )
    if (wanted.true is None) != (wanted.predicted is None):
        raise PipelineError(
            f"TRUE is {wanted.true} and PREDICTED is {wanted.predicted}; give both digits, as in "
            "TRUE=5 PREDICTED=3"
        )
    if not wanted.view:
        return ["confused"] if wanted.true is not None else list(VIEWS)
    if wanted.view not in VIEWS:
        raise PipelineError(f"VIEW is {wanted.view!r}; it must be one of {', '.join(VIEWS)}")
    return [wanted.view]


def _show(
    context: Context, view: Callable[[Views, Wanted], Shown], views: Views, wanted: Wanted
) -> None:
    try:
        shown = view(views, wanted)
    except ValueError as error:
        raise PipelineError(f"{error}; change START or COUNT") from None
    for line in shown.lines:
        context.report(line)
    from pipeline import plots

    for name, figure in shown.pictures:
        path = views.run.folder / "look" / f"{name}.png"
        plots.save(figure, path)
        context.report(f"wrote {path}")
