"""Pictures of a run: arrays in, a matplotlib Figure out.

Figures are made without pyplot, so nothing global is changed and no display is needed. The
colours are told apart with any kind of colour vision.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from pipeline import files, scores

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
"""Columns that `learning_curves` needs."""

# Blue and vermilion of Okabe and Ito's palette for all kinds of colour vision.
_TRAINING, _VALIDATION = "#0072B2", "#D55E00"
_LEAST_ERROR = 1e-4  # share of wrong answers: the end of the accuracy's scale
_GRID_COLUMNS = 5
_DOTS_PER_INCH = 150


def confusion_heatmap(
    labels: NDArray[np.integer], predictions: NDArray[np.integer], title: str
) -> Figure:
    """Draw how often each label was read as each digit, with the accuracy in the title.

    `labels` and `predictions` are integers [n] in 0..9, n > 0. Right answers stand in grey, so
    that the colours show the errors alone; a cell without errors is blank. The interval is
    `scores.wilson_interval` at 95 %. Raises ValueError as `scores.confusion` does.
    """
    counts = scores.confusion(labels, predictions)
    right = np.eye(len(counts), dtype=bool)
    total, correct = int(counts.sum()), int(counts[right].sum())
    low, high = scores.wilson_interval(correct, total)
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    look = {"annot": True, "fmt": "d", "square": True, "ax": axes}
    sns.heatmap(counts, mask=~right, cmap=ListedColormap(["#E3E3E3"]), cbar=False, **look)
    most = int(counts[~right].max())
    sns.heatmap(
        counts,
        mask=right | (counts == 0),
        cmap="YlOrBr",
        vmin=0,
        vmax=max(most, 1),
        cbar_kws={"label": "errors", "shrink": 0.8, "ticks": MaxNLocator(integer=True)},
        **look,
    )
    # Lines lead the eye from a lone error to its two labels.
    axes.hlines(range(11), 0, 10, color="#CCCCCC", linewidth=0.6)
    axes.vlines(range(11), 0, 10, color="#CCCCCC", linewidth=0.6)
    axes.set(xlabel="predicted label", ylabel="true label")
    axes.tick_params(length=0, rotation=0)
    axes.set_title(
        f"{title}\naccuracy {100 * correct / total:.2f} % "
        f"(95 % interval {100 * low:.2f} to {100 * high:.2f} %), "
        f"{total - correct:,} errors, n = {total:,}",
        fontsize=11,
    )
    return figure


def learning_curves(history: pd.DataFrame, kept_epochs: Sequence[int]) -> Figure:
    """Draw loss (nats), accuracy (%) and learning rate over the epochs, and mark the kept ones.

    `history` has the columns `HISTORY_COLUMNS`, one row an epoch; accuracies in [0, 1].
    `kept_epochs` are values of its column `epoch`, those whose checkpoints are on disk. All
    scales are logarithmic; the accuracy's follows its distance from 100 %, because the
    last epochs differ by tenths of a percent. An accuracy above 99.99 % is drawn there. Raises
    ValueError when a column is missing, there is no row, or a kept epoch is not in `history`.
    """
    missing = [column for column in HISTORY_COLUMNS if column not in history.columns]
    strange = sorted(set(kept_epochs) - set(history["epoch"])) if not missing else []
    if missing or strange or history.empty:
        raise ValueError(
            f"history has {len(history)} rows, lacks the columns {missing} and the kept epochs "
            f"{strange}; rows with all of them are needed"
        )
    figure = Figure(figsize=(12, 4), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    kept = history["epoch"].isin(list(kept_epochs))
    _pair_of_curves(loss, history["epoch"], history["loss"], history["val_loss"], kept)
    errors = (1 - history[["accuracy", "val_accuracy"]]).clip(lower=_LEAST_ERROR)
    _pair_of_curves(accuracy, history["epoch"], errors["accuracy"], errors["val_accuracy"], kept)
    rate.plot(history["epoch"], history["learning_rate"], color="black", marker=".")
    titles = ("loss (nats)", "accuracy (%)", "learning rate")
    for axes, title in zip((loss, accuracy, rate), titles, strict=True):
        axes.set(xlabel="epoch", title=title, yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3, which="both")
    accuracy.invert_yaxis()
    accuracy.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    accuracy.yaxis.set_major_formatter(lambda error, _: f"{100 * (1 - error):.6g}")
    accuracy.yaxis.set_minor_formatter(NullFormatter())
    loss.legend()
    return figure


def worst_mistakes(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    row_ids: NDArray[np.integer],
    count: int = 25,
) -> Figure:
    """Draw up to `count` mistakes, those first whose wrong label got the highest probability.

    `images` is uint8 [n, 28, 28, 1], `labels` integers [n] in 0..9, `probabilities` floats
    [n, 10], `row_ids` integers [n], the rows' numbers as the picture shall name them. Without
    any mistake the picture says so. Raises ValueError when the lengths differ or `count` < 1.
    """
    rows = len(images)
    shapes = [labels.shape, row_ids.shape, probabilities.shape]
    if shapes != [(rows,), (rows,), (rows, 10)] or count < 1:
        raise ValueError(
            f"{rows} images, but labels, row ids and probabilities {shapes}, count {count}; "
            "[n], [n], [n, 10] and 1 or more are needed"
        )
    predictions = probabilities.argmax(axis=1)
    certainty = probabilities.max(axis=1)
    mistakes = np.flatnonzero(predictions != labels)
    shown = mistakes[np.argsort(-certainty[mistakes], kind="stable")][:count]
    if not len(shown):
        figure = Figure(figsize=(6, 2), layout="constrained")
        figure.text(0.5, 0.5, f"no mistakes in {rows:,} images", ha="center", va="center")
        return figure
    height = -(-len(shown) // _GRID_COLUMNS)
    figure = Figure(figsize=(2 * _GRID_COLUMNS, 2.3 * height + 0.6), layout="constrained")
    figure.suptitle(f"{len(shown)} of {len(mistakes):,} mistakes in {rows:,} images, surest first")
    grid = figure.subplots(height, _GRID_COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, row in zip(grid, shown, strict=False):
        axes.imshow(images[row, :, :, 0], cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(
            f"row {row_ids[row]}: {labels[row]}\nread as {predictions[row]} ({certainty[row]:.1%})",
            fontsize=9,
        )
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as PNG, 150 dots an inch, wholly or not at all."""
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH)


def _pair_of_curves(
    axes: Axes, epochs: pd.Series, training: pd.Series, validation: pd.Series, kept: pd.Series
) -> None:
    """Draw a measure for training and validation rows; circle the epochs where `kept` is true."""
    # A dot at each epoch, because a history of one epoch has no line.
    axes.plot(epochs, training, color=_TRAINING, marker=".", label="training (warped, dropout)")
    axes.plot(epochs, validation, color=_VALIDATION, marker=".", label="validation")
    axes.plot(
        epochs[kept],
        validation[kept],
        linestyle="none",
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor="black",
        label="kept checkpoint",
    )
