"""The pictures of two runs: digits that only one gets right, and their learning curves."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.evaluation import plots
from pipeline.evaluation.comparison.two_runs import Disagreement
from pipeline.evaluation.history import read_history
from pipeline.runs import HISTORY_FILE, Run

_LONGEST_NAME = 100  # of a run in a file name; file systems take 255 characters


def draw_digits(
    names: tuple[str, str], rows: Disagreement, images: NDArray[np.uint8], folder: Path
) -> Path:
    """Draw the digits that only one run gets right into `folder`, and return the file's path.

    `images`, uint8 [n, 28, 28, 1], are those of `rows`. Raises PipelineError where the runs get
    the same rows right, and where the file cannot be written.
    """
    if not len(images):
        raise PipelineError("both runs get the same rows right")
    answers = [
        plots.Answers(
            images[side], rows.labels[side], rows.first[side], rows.second[side], rows.rows[side]
        )
        for side in (rows.first_is_right, ~rows.first_is_right)
    ]
    path = _path(names, folder, "digits")
    plots.save(plots.disagreements(answers[0], answers[1], names), path)
    return path


def draw_curves(first: Run, second: Run, folder: Path) -> Path:
    """Draw the validation curves of two runs into `folder`, and return the file's path.

    Raises PipelineError for an average of runs, and where a history is missing or damaged.
    """
    histories = _histories(first), _histories(second)
    path = _path((first.id, second.id), folder, "curves")
    plots.save(plots.overlaid_curves(histories, (f"A: {first.id}", f"B: {second.id}")), path)
    return path


def _path(names: tuple[str, str], folder: Path, subject: str) -> Path:
    first, second = (name[:_LONGEST_NAME] for name in names)
    return folder / f"{first}-{second}-{subject}.png"


def _histories(run: Run) -> list[pd.DataFrame]:
    """Return the history of every member that has trained."""
    tables = []
    for member in run.training.usable_members:
        path = run.member_folder(member.index) / HISTORY_FILE
        try:
            tables.append(read_history(path))
        except (OSError, ValueError) as error:
            detail = error.strerror if isinstance(error, OSError) else None
            raise PipelineError(
                f"{path} cannot be drawn ({printable(detail or error)}); its numbers are lost, and "
                "the run works without them"
            ) from None
    return tables
