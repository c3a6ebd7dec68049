"""The command `audit`: labels that look wrong, and images that are nearly the same."""

import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.data.digits import select
from pipeline.data.split import exact_duplicates
from pipeline.runs import Run
from pipeline.stages.context import Context

DEFAULT_COUNT = 20
DRAWN = 50
"""The most digits in audit.png."""


@dataclass(frozen=True)
class AuditResult:
    """All judged rows, the most suspicious first, and the images that are nearly those of others.

    `labelled` is the number of all labelled rows, `exact` of the images that equal another. `shown`
    is how many rows, and how many near duplicates, are printed.
    """

    run: Run
    labelled: int
    suspects: pd.DataFrame
    duplicates: pd.DataFrame
    exact: int
    paths: list[Path]
    shown: int

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `--json`: the suspicious rows, and all pairs."""
        suspicious = self.suspects[self.suspects["suspicious"]]
        pairs = self.duplicates.astype(object).where(self.duplicates.notna(), None)
        return {
            "run": self.run.id,
            "rows": len(self.suspects),
            "labelled_rows": self.labelled,
            "suspicious": suspicious.drop(columns="suspicious").to_dict("records"),
            "near_duplicates": pairs.to_dict("records"),
            "exact_duplicates": self.exact,
        }

    def lines(self) -> list[str]:
        """Return the lines for a person, at most 80 characters wide."""
        return [*self._suspect_lines(), *self._duplicate_lines(), *self._closing_lines()]

    def _suspect_lines(self) -> list[str]:
        lines = [
            f"run {self.run.id}: {len(self.suspects):,} of {self.labelled:,} labelled rows judged"
        ]
        if len(self.suspects) < self.labelled:
            lines.append('a run with folds judges all of them (SET="members.folds=5")')
        count = int(self.suspects["suspicious"].sum())
        lines += [
            f"{count:,} label{' looks' if count == 1 else 's look'} wrong to cleanlab. Rows with "
            "the least probable labels:",
            "",
            "rank     row  label  read as  probability of that  probability of the label",
        ]
        for place, one in enumerate(self.suspects[: self.shown].itertuples(), 1):
            lines.append(
                f"{place:>4}  {one.row:>6}  {one.label:>5}  {one.predicted:>7}  "
                f"{one.probability:>19.4f}  {one.label_probability:>24.4f}"
            )
        return lines

    def _duplicate_lines(self) -> list[str]:
        within = self.duplicates[self.duplicates["kind"] == "train"]
        contradicted = int((within["label"] != within["other_label"]).sum())
        lines = [
            "",
            f"near duplicates: {len(within):,} within the labelled rows ({contradicted:,} with "
            "another label),",
            f"  {len(self.duplicates) - len(within):,} between them and the rows to predict; "
            f"{self.exact:,} are equal in every pixel",
        ]
        for one in self.duplicates[: self.shown].to_dict("records"):
            other = f" (label {one['other_label']})" * (one["kind"] == "train")
            lines.append(
                f"  row {one['train_row']} (label {one['label']}) and {one['kind']} row "
                f"{one['other_row']}{other}: distance {one['distance']:.2f}"
            )
        return lines

    def _closing_lines(self) -> list[str]:
        wrote = [f"wrote {path}" for path in self.paths]
        return ["", *wrote, "No label was changed. docs/labels.md says what can be done."]


def audit(context: Context, count: int | None) -> AuditResult:
    """Rank the labels by a run's validation probabilities, and look for near duplicates.

    Writes audit.csv and audit.png into the run's folder, and the near duplicates, which depend on
    the data alone, beside the splits. Raises PipelineError.
    """
    if not find_spec("cleanlab"):
        raise PipelineError("cleanlab is not installed; make audit installs it")
    # pandas, scikit-learn and the drawing libraries take seconds to import.
    from pipeline.evaluation.audit import duplicates, suspects

    run, dataset = _chosen_run(context), context.dataset
    stored, labelled = run.load_arrays("validation"), len(dataset.labelled.labels)
    if stored["rows"][-1] >= labelled:
        raise PipelineError(
            f"{run.folder / 'validation.npz'} has row {stored['rows'][-1]:,}, but the data has "
            f"{labelled:,} rows; make ensemble RUN={run.id} FORCE=1 makes it again"
        )
    context.report(f"judging the labels of {len(stored['rows']):,} rows with cleanlab")
    table = suspects.rank(stored["rows"], stored["labels"], stored["probabilities"])
    with run.held():  # a folder that is being removed would be made anew
        paths = [suspects.save(run, table), _draw(context, run, table)]
    context.report("looking for near duplicates, half a minute the first time")
    pairs, pairs_file = duplicates.listed(dataset, context.data_folder / "splits")
    exact = len(exact_duplicates(dataset.labelled, dataset.test_images))
    shown = DEFAULT_COUNT if count is None else count
    return AuditResult(run, labelled, table, pairs, exact, [*paths, pairs_file], shown)


def _draw(context: Context, run: Run, table: pd.DataFrame) -> Path:
    """Draw the first rows of the table into the run's folder. Return the picture's path."""
    from pipeline.evaluation import plots
    from pipeline.evaluation.audit.suspects import PICTURE

    drawn = table[:DRAWN]
    rows = drawn["row"].to_numpy()
    images = select(context.dataset.labelled, rows).images
    labels, predicted = drawn["label"].to_numpy(), drawn["predicted"].to_numpy()
    heading = f"{run.id}: the {len(drawn)} least probable labels"
    plots.save(plots.digit_grid(images, labels, predicted, rows, heading), run.folder / PICTURE)
    return run.folder / PICTURE


def _chosen_run(context: Context) -> Run:
    """Return the run that `RUN` names, else the one that judges most rows best."""
    if context.request.runs:
        run = context.only_run("audit", "run with scores")
    else:
        scored = [one for one in context.store.all() if one.record.scores]
        seed = context.request.practice_seed
        if seed and all(one.record.practice_seed != seed for one in scored):  # may be mistyped
            raise PipelineError(
                f"PRACTICE_SEED is {seed}, but no run of that draw has scores; give another one, "
                f"or make a run that judges every labelled row: {_making(context)}"
            )
        data = context.dataset.fingerprint
        here = [one for one in scored if one.record.data_fingerprint == data]
        if not here:
            raise PipelineError(
                f"no run on these data ({printable(context.source.location)}) has scores yet; name "
                "a run of other data (RUN=<id>; make runs lists them), or make one that judges "
                f"every labelled row: {_making(context)}"
            )
        run = max(here, key=_quality)
    if run.record.scores is None:
        raise PipelineError(
            f"run {run.id} has no validation probabilities yet; make ensemble RUN={run.id} first"
        )
    if run.record.data_fingerprint != context.dataset.fingerprint:
        raise PipelineError(
            f"run {run.id} was trained on other data ({printable(run.record.source)}) than SOURCE "
            "holds now; give the SOURCE and PRACTICE_SEED of the run, or bring its data back"
        )
    return run


def _making(context: Context) -> str:
    """Return the command that makes a run with folds on the request's data."""
    source, seed = context.request.source, context.request.practice_seed
    given = f" SOURCE={shlex.quote(source)}" * (source != "auto")
    given += f" PRACTICE_SEED={seed}" * bool(seed)
    return f'make ensemble RECIPE=fast SET="members.folds=5"{given}'


def _quality(run: Run) -> tuple[int, float]:
    scores = run.record.scores
    assert scores is not None
    return scores.validation_rows, scores.validation_accuracy
