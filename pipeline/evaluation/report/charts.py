"""The page's charts as Vega-Lite: scores with intervals, public scores, curves, reliability.

Their colours are the page's CSS variables, so that they follow its light and its dark mode.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from pipeline.evaluation.comparison.model import Group, PublicScores, RecipeRow, RunRow
from pipeline.search.record import SearchRecord

MOST_RECIPES = 40
"""The most recipes in one chart of intervals."""

Spec = dict[str, Any]

_TEXT, _FAINT, _LINE, _ACCENT = "var(--text)", "var(--faint)", "var(--line)", "var(--accent)"
_PLAIN = "~r"  # plain digits: 0.001, not 1m or 10^-3
_IN_TIME, _LATE = "before any reveal", "after a reveal (r)"
_ROW_HEIGHT = 40  # pixels of a recipe: its name above its interval


def intervals(group: Group, names: Sequence[str]) -> Spec:
    """Return the accuracies of a group's recipes with their 95 % intervals, the best at the top.

    Each has its name from `names`, and its runs as circles.
    """
    shown = group.recipes[:MOST_RECIPES]
    recipes = [
        _recipe_point(place, name, row)
        for place, (name, row) in enumerate(zip(names, shown, strict=False), 1)
    ]
    runs = [
        {"place": run.recipe_row + 1, "run": run.run, "accuracy": 100 * run.scores.accuracy}
        for run in group.runs
        if run.recipe_row < len(shown)
    ]
    place = alt.Y("place:O", axis=None)
    title = f"validation accuracy (%), n = {max(row.scores.rows for row in shown):,} rows"
    accuracy = alt.X(
        "accuracy:Q",
        title=title,
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(format=_PLAIN, tickCount=6),
    )
    points = alt.Chart(alt.InlineData(values=recipes)).encode(
        y=place, tooltip=["recipe:N", *_numbers("accuracy", "low", "high", form=".3f")]
    )
    single_runs = alt.Chart(alt.InlineData(values=runs)).encode(
        x=accuracy, y=place, tooltip=["run:N", *_numbers("accuracy", form=".3f")]
    )
    layers = alt.layer(
        points.mark_rule(color=_ACCENT, strokeWidth=2, opacity=0.7).encode(
            x=alt.X("low:Q"), x2="high:Q"
        ),
        single_runs.mark_point(color=_TEXT, size=45, strokeWidth=1.2),
        points.mark_point(color=_ACCENT, filled=True, size=85, opacity=1).encode(x=accuracy),
        points.mark_text(align="left", dy=-15, color=_TEXT, fontSize=12).encode(
            x=alt.value(0), text="recipe:N"
        ),
    ).properties(height=len(shown) * _ROW_HEIGHT + 12)
    return _spec(layers, "Validation accuracy of each recipe with its 95 % interval, best first.")


def _recipe_point(place: int, name: str, row: RecipeRow) -> dict[str, object]:
    low, high = row.scores.accuracy_interval
    return {
        "place": place,
        "recipe": f"{place}  {name}",
        "accuracy": 100 * row.scores.accuracy,
        "low": 100 * low,
        "high": 100 * high,
    }


def public_scores(scores: PublicScores, runs: Mapping[str, RunRow]) -> Spec:
    """Return validation accuracy against public score, with the line where they are equal.

    `runs` tell which submissions were made after a reveal: those are squares.
    """
    values = [
        {
            "run": run,
            "validation": 100 * validation,
            "public": 100 * public,
            "submitted": _LATE if run in runs and runs[run].after_reveal else _IN_TIME,
        }
        for run, validation, public in scores.points
    ]
    legend = alt.Legend(orient="top", title=None)
    shape = alt.Shape(
        "submitted:N",
        scale=alt.Scale(domain=[_IN_TIME, _LATE], range=["circle", "square"]),
        legend=legend if any(one["submitted"] == _LATE for one in values) else None,
    )
    low = 100 * min(min(point[1:]) for point in scores.points)
    high = 100 * max(max(point[1:]) for point in scores.points)
    room = max(0.08 * (high - low), 0.01)
    ends = [max(low - room, 0.0), min(high + room, 100.0)]
    scale, axis = alt.Scale(domain=ends, nice=False), alt.Axis(format=_PLAIN, tickCount=6)
    points = (
        alt.Chart(alt.InlineData(values=values))
        .mark_point(color=_ACCENT, filled=True, size=80, opacity=0.8)
        .encode(
            x=alt.X("validation:Q", title="validation accuracy (%)", scale=scale, axis=axis),
            y=alt.Y("public:Q", title="public score (%)", scale=scale, axis=axis),
            shape=shape,
            tooltip=["run:N", *_numbers("validation", "public", form=".3f"), "submitted:N"],
        )
    )
    return _spec(
        alt.layer(_diagonal(scale, ends), points).properties(height=320),
        f"Validation accuracy against public score of {len(values)} submissions.",
    )


def _diagonal(scale: alt.Scale, ends: list[float]) -> alt.Chart:
    """Return the line where both scales have the same value."""
    chart = alt.Chart(alt.InlineData(values=[{"end": end} for end in ends]))
    line: alt.Chart = chart.mark_line(color=_FAINT, strokeDash=[4, 4]).encode(
        x=alt.X("end:Q", scale=scale), y=alt.Y("end:Q", scale=scale)
    )
    return line


def _numbers(*names: str, form: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:Q", format=form) for name in names]


def curves(title: str) -> Spec:
    """Return one measure over the epochs on a logarithmic scale; the page puts in its data.

    Training is dashed. A line has the colour of its run, and a circle where an epoch is its only.
    """
    chart = (
        alt.Chart(alt.NamedData(name="curves"))
        .mark_line(strokeWidth=1.7, point=alt.OverlayMarkDef(size=14))
        .encode(
            x=alt.X(
                "epoch:Q",
                title="epoch",
                scale=alt.Scale(zero=False, nice=False),
                axis=alt.Axis(format="d", tickMinStep=1),
            ),
            y=alt.Y(
                "value:Q",
                title=title,
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format=_PLAIN, tickCount=6),
            ),
            color=alt.Color("colour:N", scale=None, legend=None),
            strokeDash=alt.StrokeDash(
                "rows:N",
                scale=alt.Scale(domain=["validation", "training"], range=[[1, 0], [5, 3]]),
                legend=None,
            ),
            detail="line:N",
            tooltip=["run:N", "member:N", "rows:N", "epoch:Q", *_numbers("value", form=".3")],
        )
        .properties(height=300)
    )
    return _spec(chart, f"{title} over the epochs, one line for each run, member and kind of rows.")


def reliability() -> Spec:
    """Return accuracy against confidence, with the line of a perfect network; data come later."""
    scale = alt.Scale(domain=[0, 1])
    bins = alt.Chart(alt.NamedData(name="bins")).encode(
        x=alt.X("confidence:Q", title="mean confidence of a bin", scale=scale),
        tooltip=[
            *_numbers("confidence", "accuracy", "low", "high", form=".4"),
            *_numbers("rows", form=","),
        ],
    )
    layers = alt.layer(
        _diagonal(scale, [0, 1]),
        bins.mark_rule(color=_ACCENT, opacity=0.6).encode(
            y=alt.Y("low:Q", title="share of right rows", scale=scale), y2="high:Q"
        ),
        bins.mark_point(color=_ACCENT, filled=True, size=60, opacity=1).encode(
            y=alt.Y("accuracy:Q", scale=scale)
        ),
    ).properties(height=260)
    return _spec(layers, "Share of right rows against confidence, with 95 % intervals.")


def trials(search: SearchRecord) -> Spec:
    """Return the accuracy of a search's trials in their order, with the best completed so far."""
    values, best = [], []
    highest = 0.0
    for one in search.trials:
        if one.value is None:
            continue
        values.append({"trial": one.number, "accuracy": 100 * one.value, "state": one.state})
        if one.state == "completed":
            highest = max(highest, one.value)
            best.append({"trial": one.number, "accuracy": 100 * highest})
    x = alt.X("trial:Q", title="trial", axis=alt.Axis(format="d", tickMinStep=1))
    y = alt.Y("accuracy:Q", title="validation accuracy (%)", scale=_from_worst(search))
    states = ["completed", "pruned", "running", "interrupted"]
    points = (
        alt.Chart(alt.InlineData(values=values))
        .mark_point(filled=True, size=55, opacity=0.8, clip=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "state:N",
                scale=alt.Scale(domain=states, range=[_ACCENT, _FAINT, _LINE, _LINE]),
                legend=alt.Legend(orient="top", title=None, values=states[:2]),
            ),
            tooltip=["trial:Q", "state:N", *_numbers("accuracy", form=".3f")],
        )
    )
    line = (
        alt.Chart(alt.InlineData(values=best))
        .mark_line(color=_ACCENT, interpolate="step-after", strokeWidth=1.5)
        .encode(x=x, y=y)
    )
    description = f"Validation accuracy of the {len(values)} trials of {search.id}."
    return _spec(alt.layer(line, points).properties(height=280), description)


def _from_worst(search: SearchRecord) -> alt.Scale:
    """Return a scale that begins at the worst completed trial: pruned ones may lie far below."""
    completed = [100 * (one.value or 0) for one in search.completed]
    if not completed:
        return alt.Scale(zero=False)
    low, high = min(completed), max(completed)
    room = max(0.05 * (high - low), 0.02)
    return alt.Scale(domain=[low - room, min(100.0, high + room)], nice=False)


def importance(shares: Mapping[str, float]) -> Spec:
    """Return how much each setting mattered, as bars, the highest share at the top."""
    values = [{"setting": key, "share": share} for key, share in shares.items()]
    bars = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar(color=_ACCENT)
        .encode(
            x=alt.X("share:Q", title="share", scale=alt.Scale(domainMin=0)),
            y=alt.Y("setting:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
            tooltip=["setting:N", *_numbers("share", form=".2f")],
        )
        .properties(height=22 * max(len(values), 2))
    )
    return _spec(bars, "How much each setting of a search mattered.")


def _spec(chart: alt.Chart | alt.LayerChart | alt.FacetChart, description: str) -> Spec:
    """Return a chart as wide as its place on the page, in the page's font and colours."""
    styled = (
        chart.properties(width="container", description=description, background="transparent")
        .configure(font="system-ui, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=_TEXT,
            titleColor=_TEXT,
            gridColor=_LINE,
            domainColor=_LINE,
            tickColor=_LINE,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=13,
        )
        .configure_legend(labelColor=_TEXT, labelFontSize=12, symbolFillColor=_ACCENT)
    )
    spec: Spec = styled.to_dict()
    del spec["$schema"]  # an address, which the page does not need
    return spec
