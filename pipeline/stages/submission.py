"""The stage `submission`: the CSV to submit, and the confusion heatmap."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.data.spec import SPEC
from pipeline.evaluation import png_files
from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble


def write_submission(context: Context) -> tuple[Run, Path]:
    """Write submissions/<run>.csv and .png, unless they exist and are right.

    Returns the run and the path of the CSV. Raises PipelineError, before anything is trained if
    the source has no submissions.
    """
    if context.origin.refusal:
        raise PipelineError(context.origin.refusal)
    run = ensemble(context)
    csv = context.submissions_folder / f"{run.id}.csv"
    picture = csv.with_suffix(".png")
    labels = run.load_arrays("test")["probabilities"].argmax(axis=1)
    if png_files.is_whole(picture) and _has_labels(csv, labels):
        context.report(f"{csv} is written already")
        return run, csv
    _check_count(context, run, len(labels))
    # The drawing libraries take seconds to import.
    from pipeline.evaluation import pictures

    pictures.draw_heatmap(run, picture)
    submission.write(csv, labels)  # last: a right CSV shows that both files are complete
    context.report(f"wrote {csv} ({len(labels):,} rows) and {picture}")
    return run, csv


def _check_count(context: Context, run: Run, labels: int) -> None:
    """Raise PipelineError unless the run predicts every row of the test file, and no more."""
    rows = len(context.dataset.test_images)
    if labels != rows:
        raise PipelineError(
            f"{run.folder / 'test.npz'} has {labels:,} rows, but {SPEC.test_file} has {rows:,}; "
            f"make ensemble RUN={run.id} FORCE=1 makes it again"
        )


def _has_labels(csv: Path, labels: NDArray[np.integer]) -> bool:
    """Return whether the CSV is a whole submission of exactly these labels."""
    try:
        return np.array_equal(submission.check(csv, rows=len(labels)), labels)
    except PipelineError:
        return False
