"""The picture files of one run, drawn from the content of its folder."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.evaluation import plots
from pipeline.runs import Run


def draw_run_pictures(run: Run, images: NDArray[np.uint8]) -> None:
    """Draw the learning curves of every member and the worst mistakes into the run's folder.

    `images`, uint8 [n, 28, 28, 1], are those of the run's stored validation rows. An ensemble of
    several runs has no learning curves. Raises PipelineError if a history is damaged.
    """
    for member in [] if run.record.parents else run.record.members:
        folder = run.member_folder(member.index)
        if (folder / "history.csv").exists():  # a run can be scored without it
            plots.save(member_curves(run, member.index), folder / "curves.png")
    stored = run.load_arrays("validation")
    labels, probabilities = stored["labels"], stored["probabilities"]
    mistakes = plots.worst_mistakes(images, labels, probabilities, stored["rows"])
    plots.save(mistakes, run.folder / "mistakes.png")


def draw_heatmap(run: Run, path: Path) -> None:
    """Draw the confusion table of the run's stored validation probabilities to `path`."""
    stored = run.load_arrays("validation")
    predictions = stored["probabilities"].argmax(axis=1)
    plots.save(plots.confusion_heatmap(stored["labels"], predictions, run.id), path)


def member_curves(run: Run, index: int) -> Figure:
    """Draw the learning curves of one member.

    Raises PipelineError if its history.csv is missing or damaged.
    """
    path = run.member_folder(index) / "history.csv"
    (member,) = [member for member in run.training.members if member.index == index]
    kept_epochs = [checkpoint.epoch for checkpoint in member.checkpoints]
    loss = run.training.recipe.training.loss
    unit = "mean squared error" if loss == "mean_squared_error" else "nats"
    try:
        return plots.learning_curves(pd.read_csv(path), kept_epochs, unit)
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"{path} cannot be drawn ({error}); train the run again with FORCE=1"
        ) from None
