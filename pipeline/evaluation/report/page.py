"""The page itself: one HTML file that asks no server for anything."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.common import files
from pipeline.evaluation.comparison.explanations import lines as explanations
from pipeline.evaluation.comparison.model import Comparison
from pipeline.evaluation.report import charts, curves, searches, settings, tables
from pipeline.evaluation.report.digits import DigitPictures
from pipeline.evaluation.report.run_details import RunDetails, describe
from pipeline.runs import Run
from pipeline.search.record import SearchRecord

_TEMPLATES = "templates"


def write(
    path: Path,
    comparison: Comparison,
    runs: Sequence[Run],
    tried: Sequence[SearchRecord],
    submissions: Path,
    data: Path,
) -> None:
    """Write the page of a comparison, its `runs` and searches to `path`; the newest run is first.

    `runs` are oldest first. The folder `submissions` holds their heatmaps, and `data` the sources'
    files, from which digits are drawn if they are there. Damaged pictures are named. Raises OSError
    if the page cannot be written.
    """
    pictures = DigitPictures(data)
    rows = {row.run: row for group in comparison.groups for row in group.runs}
    # Pictures are given to the best runs first, should the page not have room for all.
    places = {name: place for place, name in enumerate(rows)}
    best_first = sorted(runs, key=lambda run: places.get(run.id, len(places)))
    details = {
        run.id: describe(run, rows.get(run.id), comparison.unreadable, submissions, pictures)
        for run in best_first
    }
    newest_first = [details[run.id] for run in reversed(runs)]
    groups = [tables.group_on_page(group, comparison) for group in comparison.groups]
    page_data = {
        "comparison": comparison.as_json(),
        "settings": settings.table(runs),
        "curves": curves.of_runs(runs),
        "reliability": {one.run: one.reliability for one in newest_first if one.reliability},
        "digits": pictures.encoded,
        "charts": {
            "intervals": [
                charts.intervals(group, [recipe.full_name for recipe in shown.recipes])
                for group, shown in zip(comparison.groups, groups, strict=True)
            ],
            "public": [charts.public_scores(one, rows) for one in comparison.public_scores],
            "trials": [charts.trials(one) for one in tried],
            "importance": [charts.importance(one.importance) for one in tried],
            "error": charts.curves("wrong rows (%)"),
            "loss": charts.curves(curves.loss_title(runs)),
            "reliability": charts.reliability(),
        },
    }
    shown = searches.on_page(tried)
    files.write_text(path, _render(comparison, groups, newest_first, shown, page_data))


def _render(
    comparison: Comparison,
    groups: Sequence[tables.GroupOnPage],
    details: Sequence[RunDetails],
    shown: Sequence[searches.SearchOnPage],
    page_data: dict[str, object],
) -> str:
    environment = Environment(
        loader=PackageLoader(__package__, _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    scripts = [vega, _text("page.js")]
    return environment.get_template("page.html.j2").render(
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        runs=details,
        groups=groups,
        public_scores=comparison.public_scores,
        searches=shown,
        legend=tables.legend(comparison),
        notes=explanations(comparison),
        left_out=list(comparison.unreadable.values()),
        most_recipes=charts.MOST_RECIPES,
        style=Markup(_text("page.css")),
        scripts=list(map(Markup, scripts)),
        policy=_policy(scripts),
        page_data=_embedded(page_data),
    )


def _policy(scripts: Sequence[str]) -> str:
    """Return a policy with which a browser runs these scripts only, and asks no server.

    Vega's tooltips and charts bring styles of their own, so styles cannot be listed.
    """
    hashes = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _embedded(page_data: dict[str, object]) -> Markup:
    """Return JSON that cannot end the script element it stands in, whatever its texts are."""
    text = json.dumps(page_data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))


def _text(name: str) -> str:
    """Return a file of the package's templates."""
    return (resources.files(__package__) / _TEMPLATES / name).read_text(encoding="utf-8")
