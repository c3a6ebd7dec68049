"""All runs on one page: one HTML file that can be sent, with every picture in it."""

import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import pandas as pd

from pipeline.common import files
from pipeline.evaluation import compare_table, plots
from pipeline.evaluation.compare import Comparison, Group
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
<h1>Runs</h1>
$groups
$notes
<h2>Each run</h2>
$runs
</html>
""")


def write(path: Path, comparison: Comparison, runs: Sequence[Run], submissions: Path) -> None:
    """Write the page of a comparison, and of the `runs` in it, newest first.

    The folder `submissions` holds their heatmaps. Pictures that were not drawn are left out.
    Raises OSError where a picture cannot be read.
    """
    page = PAGE.substitute(
        groups="\n".join(map(_group, comparison.groups)),
        notes="\n".join(
            f"<p>{escape(line.strip())}</p>" for line in compare_table.notes(comparison)
        ),
        runs="\n".join(_run(run, submissions) for run in reversed(runs)),
    )
    files.write_text(path, page)


def _group(group: Group) -> str:
    rows = group.rows
    table = pd.DataFrame(compare_table.cells(group), columns=compare_table.header(group))
    with pd.option_context("display.max_colwidth", None):  # else it cuts off long names
        laid_out = table.to_html(index=False, border=0)
    drawn = plots.accuracy_intervals(
        [row.run for row in rows],
        [row.validation_accuracy for row in rows],
        [(row.low, row.high) for row in rows],
    )
    heading = escape(compare_table.title(group))
    return f"<h2>{heading}</h2>\n{laid_out}\n{_picture(plots.png(drawn), heading)}"


def _run(run: Run, submissions: Path) -> str:
    record = run.record
    # An ensemble of several runs has its members in their folders.
    pictures = {
        "confusion of the validation rows": submissions / f"{run.id}.png",
        "worst mistakes": run.folder / "mistakes.png",
        **{
            f"learning curves of member {member.index + 1}": run.member_folder(member.index)
            / "curves.png"
            for member in record.members
        },
    }
    shown = [
        _picture(path.read_bytes(), f"{run.id}: {told}")
        for told, path in pictures.items()
        if path.is_file()
    ]
    facts = record.model_dump(mode="json", include={"recipe", "git", "versions", "hardware"})
    settings = f"<pre>{escape(json.dumps(facts, indent=2))}</pre>"
    return "\n".join(
        [
            f"<details><summary>{escape(run.id)}: {escape(run.state())}</summary>",
            *shown,
            f"<details><summary>settings, commit, versions</summary>{settings}</details>",
            "</details>",
        ]
    )


def _picture(png: bytes, told: str) -> str:
    return f'<p><img alt="{told}" src="data:image/png;base64,{b64encode(png).decode()}"></p>'
