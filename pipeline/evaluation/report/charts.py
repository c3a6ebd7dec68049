"""The page's charts as Vega-Lite: scores with intervals, public scores, curves, reliability.

Their colours are the page's CSS variables, so that they follow its light and its dark mode.
"""

from collections.abc import Mapping
from typing import Any

import altair as alt

from pipeline.evaluation.comparison import words
from pipeline.evaluation.comparison.model import Group, PublicScores, RecipeRow, RunRow

MOST_RECIPES = 40
"""The most recipes in one chart of intervals."""

Spec = dict[str, Any]

_TEXT, _FAINT, _LINE, _ACCENT = "var(--text)", "var(--faint)", "var(--line)", "var(--accent)"
_PLAIN = "~r"  # plain digits: 0.001, not 1m or 10^-3
_ROW_HEIGHT = 40  # pixels of a recipe: its name above its interval


def intervals(group: Group) -> Spec:
    """Return the accuracies of a group's recipes with their 95 % intervals, the best at the top.

    Each has its runs as circles.
    """
    shown = group.recipes[:MOST_RECIPES]
    recipes = [_recipe_point(place, row) for place, row in enumerate(shown, 1)]
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
    tooltip = [
        alt.Tooltip("recipe:N"),
        *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("accuracy", "low", "high")),
    ]
    points = alt.Chart(alt.Data(values=recipes)).encode(y=place, tooltip=tooltip)
    single_runs = alt.Chart(alt.Data(values=runs)).encode(
        x=accuracy, y=place, tooltip=["run:N", alt.Tooltip("accuracy:Q", format=".3f")]
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


def _recipe_point(place: int, row: RecipeRow) -> dict[str, object]:
    low, high = row.scores.accuracy_interval
    return {
        "place": place,
        "recipe": f"{place}  {words.recipe_name(row.recipe)} ({words.seeds(row)})",
        "accuracy": 100 * row.scores.accuracy,
        "low": 100 * low,
        "high": 100 * high,
    }


def public_scores(scores: PublicScores, runs: Mapping[str, RunRow]) -> Spec:
    """Return validation accuracy against public score, with the line where they are equal.

    `runs` tell which submissions were made after a reveal: those are squares.
    """
    late = "after a reveal (r)"
    values = [
        {
            "run": run,
            "validation": 100 * validation,
            "public": 100 * public,
            "submitted": late if run in runs and runs[run].after_reveal else "before any reveal",
        }
        for run, validation, public in scores.points
    ]
    low = min(100 * min(point[1:]) for point in scores.points)
    high = max(100 * max(point[1:]) for point in scores.points)
    room = max(0.08 * (high - low), 0.01)
    scale = alt.Scale(domain=[low - room, min(high + room, 100.0)], nice=False)
    axis = alt.Axis(format=_PLAIN, tickCount=6)
    shape = alt.Shape(
        "submitted:N",
        title=None,
        scale=alt.Scale(domain=["before any reveal", late], range=["circle", "square"]),
        legend=alt.Legend(orient="top") if any(one["submitted"] == late for one in values) else None,
    )
    points = (
        alt.Chart(alt.Data(values=values))
        .mark_point(color=_ACCENT, filled=True, size=80, opacity=0.8)
        .encode(
            x=alt.X("validation:Q", title="validation accuracy (%)", scale=scale, axis=axis),
            y=alt.Y("public:Q", title="public score (%)", scale=scale, axis=axis),
            shape=shape,
            tooltip=[
                "run:N",
                alt.Tooltip("validation:Q", format=".3f"),
                alt.Tooltip("public:Q", format=".3f"),
                "submitted:N",
            ],
        )
    )
    corners = alt.Data(values=[{"x": end} for end in scale.to_dict()["domain"]])
    equal = (
        alt.Chart(corners)
        .mark_line(color=_FAINT, strokeDash=[4, 4])
        .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("x:Q", scale=scale))
    )
    return _spec(
        alt.layer(equal, points).properties(height=320),
        f"Validation accuracy against public score of {len(values)} submissions.",
    )


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
            tooltip=["run:N", "member:N", "rows:N", "epoch:Q", alt.Tooltip("value:Q", format=".3")],
        )
        .properties(height=300)
    )
    return _spec(chart, f"{title} over the epochs, one line for each run, member and kind of rows.")


def reliability() -> Spec:
    """Return accuracy against confidence, with the line of a perfect network; data come later."""
    scale = alt.Scale(domain=[0, 1])
    corners = alt.Data(values=[{"x": 0}, {"x": 1}])
    perfect = (
        alt.Chart(corners)
        .mark_line(color=_FAINT, strokeDash=[4, 4])
        .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("x:Q", scale=scale))
    )
    bins = alt.Chart(alt.NamedData(name="bins")).encode(
        x=alt.X("confidence:Q", title="mean confidence of a bin", scale=scale),
        tooltip=[
            *(alt.Tooltip(f"{one}:Q", format=".4") for one in ("confidence", "accuracy")),
            *(alt.Tooltip(f"{one}:Q", format=".4") for one in ("low", "high")),
            alt.Tooltip("rows:Q", format=","),
        ],
    )
    layers = alt.layer(
        perfect,
        bins.mark_rule(color=_ACCENT, opacity=0.6).encode(
            y=alt.Y("low:Q", title="share of right rows", scale=scale), y2="high:Q"
        ),
        bins.mark_point(color=_ACCENT, filled=True, size=60, opacity=1).encode(
            y=alt.Y("accuracy:Q", scale=scale)
        ),
    ).properties(height=260)
    return _spec(layers, "Share of right rows against confidence, with 95 % intervals.")


def _spec(chart: alt.Chart | alt.LayerChart, description: str) -> Spec:
    """Return a chart as wide as its place on the page, in the page's font and colours."""
    styled = (
        chart.properties(width="container", description=description, background="transparent")
        .configure(font="inherit")
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
        .configure_text(font="inherit")
    )
    spec: Spec = styled.to_dict()
    del spec["$schema"]  # an address, which the page does not need
    return spec
