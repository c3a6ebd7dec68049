"""All runs on one HTML page that can be sent: comparison, settings and pictures in one file."""

import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import pandas as pd

from pipeline.common import files
from pipeline.evaluation import plots, png_files
from pipeline.evaluation.comparison import cells, explanations
from pipeline.evaluation.comparison.model import Comparison, Group
from pipeline.runs import Run

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Runs</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: auto; padding: 1rem }
  table { border-collapse: collapse; display: block; overflow-x: auto }
  th, td { padding: .2rem .7rem; border-bottom: 1px solid #ccc; white-space: nowrap }
  th, td { text-align: left }
  img { max-width: 100% }
  summary { cursor: pointer; font-weight: 600; margin: .5rem 0 }
  pre { background: #f4f4f4; padding: 1rem; overflow-x: auto }
</style>
<h1>Comparison of runs</h1>
$groups
$notes
<h2>Each run</h2>
$runs
</html>
""")


def write(path: Path, comparison: Comparison, runs: Sequence[Run], submissions: Path) -> None:
    """Write the page of a comparison and of its `runs` to `path`; the newest run comes first.

    `runs` are oldest first. The folder `submissions` holds their heatmaps. The page leaves out
    pictures that do not exist, and names damaged ones. Raises OSError if it cannot be written.
    """
    left_out = [f"left out: {reason}" for reason in comparison.unreadable.values()]
    lines = [*explanations.lines(comparison), *left_out]
    page = PAGE.substitute(
        groups="\n".join(map(_group_html, comparison.groups)),
        notes="\n".join(f"<p>{escape(line.strip())}</p>" for line in lines),
        runs="\n".join(_run_html(run, submissions) for run in reversed(runs)),
    )
    files.write_text(path, page)


def _group_html(group: Group) -> str:
    with pd.option_context("display.max_colwidth", None):  # pandas cuts off long names otherwise
        columns = cells.run_columns(group)
        rows = [
            {
                "run": run.run,
                "recipe": run.recipe,
                **{c.heading: c.text(group, run) for c in columns},
            }
            for run in group.runs
        ]
        table = pd.DataFrame(rows).to_html(index=False, border=0)
    figure = plots.accuracy_intervals(
        [run.run for run in group.runs],
        [run.scores.accuracy for run in group.runs],
        [run.scores.accuracy_interval for run in group.runs],
    )
    heading = cells.title(group)
    picture = _picture_html(plots.png(figure), f"validation accuracies of {heading}")
    return f"<h2>{escape(heading)}</h2>\n{table}\n{picture}"


def _run_html(run: Run, submissions: Path) -> str:
    record = run.record
    # An ensemble of several runs lists their members, but the curves are in the runs' own folders.
    paths = {
        "confusion of the validation rows": submissions / f"{run.id}.png",
        "worst mistakes": run.folder / "mistakes.png",
        **{
            f"learning curves of member {member.index + 1}": run.member_folder(member.index)
            / "curves.png"
            for member in record.members
        },
    }
    pictures = "\n".join(
        _picture_html(path.read_bytes(), f"{run.id}: {subject}")
        if png_files.is_whole(path)
        else f"<p>{escape(f'{path} is damaged; make submission RUN={run.id} draws it again')}</p>"
        for subject, path in paths.items()
        if path.exists()
    )
    facts = record.model_dump(mode="json", include={"recipe", "git", "versions", "hardware"})
    settings = f"<pre>{escape(json.dumps(facts, indent=2))}</pre>"
    return (
        f"<details><summary>{escape(run.id)}: {escape(run.state())}</summary>\n{pictures}\n"
        f"<details><summary>settings, commit, versions, hardware</summary>{settings}</details>\n"
        "</details>"
    )


def _picture_html(png: bytes, description: str) -> str:
    """Return a picture as HTML with its PNG bytes inside. `description` is plain text."""
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<p><img alt="{escape(description)}" src="{source}"></p>'
