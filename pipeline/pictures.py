"""The pictures of one run, drawn from what the run folder holds."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import plots
from pipeline.digits import Digits
from pipeline.runs import Run


def draw(
    run: Run,
    rows: NDArray[np.int64],
    labelled: Digits,
    probabilities: NDArray[np.float32],
) -> None:
    """Draw the learning curves of every member and the worst mistakes into the run folder.

    `rows`, `labelled` and `probabilities` [n, 10] belong to the validation rows. An ensemble of
    several runs has no curves of its own.
    """
    for member in [] if run.record.parents else run.record.members:
        folder = run.member_folder(member.index)
        kept = [checkpoint.epoch for checkpoint in member.checkpoints]
        if (folder / "history.csv").exists():  # scores do not depend on it
            history = pd.read_csv(folder / "history.csv")
            plots.save(plots.learning_curves(history, kept), folder / "curves.png")
    mistakes = plots.worst_mistakes(labelled.images, labelled.labels, probabilities, rows)
    plots.save(mistakes, run.folder / "mistakes.png")


def draw_heatmap(run: Run, path: Path) -> None:
    """Draw the confusion of the run's stored validation probabilities."""
    stored = run.load_arrays("validation")
    predictions = stored["probabilities"].argmax(axis=1)
    plots.save(plots.confusion_heatmap(stored["labels"], predictions, run.id), path)
