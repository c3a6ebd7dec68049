"""The picture files of one run, drawn from the content of its folder."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.evaluation import plots, png_files
from pipeline.evaluation.history import read_history
from pipeline.runs import HISTORY_FILE, Run


def draw_run_pictures(run: Run, images: NDArray[np.uint8], report: Report) -> None:
    """Draw the learning curves of every member and the worst mistakes into the run's folder.

    `images`, uint8 [n, 28, 28, 1], are those of the run's stored validation rows. An ensemble of
    several runs has no learning curves, nor has a member whose history is damaged, which `report`
    then names.
    """
    for path, index in png_files.curve_files(run).items():
        try:
            plots.save(member_curves(run, index), path)
        except PipelineError as error:
            report(f"no learning curves: {error}")
    stored = run.load_arrays("validation")
    labels, probabilities = stored["labels"], stored["probabilities"]
    title = f"{run.id}, validation rows"
    mistakes = plots.worst_mistakes(images, labels, probabilities, stored["rows"], title=title)
    plots.save(mistakes, png_files.mistakes_file(run))


def draw_heatmap(run: Run, path: Path) -> None:
    """Draw the confusion table of the run's stored validation probabilities to `path`."""
    stored = run.load_arrays("validation")
    predictions = stored["probabilities"].argmax(axis=1)
    title = f"{run.id}, validation rows"
    plots.save(plots.confusion_heatmap(stored["labels"], predictions, title), path)


def member_curves(run: Run, index: int) -> Figure:
    """Draw the learning curves of one member.

    Raises PipelineError if its history.csv is missing or damaged.
    """
    path = run.member_folder(index) / HISTORY_FILE
    member = run.training.members[index]
    kept_epochs = [checkpoint.epoch for checkpoint in member.checkpoints]
    loss = run.training.recipe.training.loss
    unit = "mean squared error" if loss == "mean_squared_error" else "nats"
    members = len(run.training.members)
    title = f"{run.id}, member {index + 1} of {members}" if members > 1 else run.id
    try:
        return plots.learning_curves(read_history(path), kept_epochs, title, unit)
    except (OSError, ValueError) as error:
        detail = error.strerror if isinstance(error, OSError) else None
        raise PipelineError(
            f"{path} cannot be drawn ({printable(detail or error)}); its numbers are lost, and the "
            "run works without them"
        ) from None
