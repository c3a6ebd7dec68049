"""How training went, epoch by epoch."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pipeline.evaluation.plots._colours import BLUE, VERMILION

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
"""Columns that `learning_curves` needs."""

_LEAST_ERROR = 1e-4  # share of wrong answers: the end of the accuracy's scale


def learning_curves(
    history: pd.DataFrame, kept_epochs: Sequence[int], loss_unit: str = "nats"
) -> Figure:
    """Draw loss, accuracy (%) and learning rate over the epochs, and mark the kept ones.

    `history` has the columns `HISTORY_COLUMNS`, one row an epoch; accuracies in [0, 1].
    `kept_epochs` are values of its column `epoch`, those whose checkpoints are on disk.
    `loss_unit` stands in the loss's title: "nats", or what else the training made small. All
    scales are logarithmic; the accuracy's follows its distance from 100 %, because the
    last epochs differ by tenths of a percent. An accuracy above 99.99 % is drawn there. Raises
    ValueError when a column is missing, there is no row, or a kept epoch is not in `history`.
    """
    _check(history, kept_epochs)
    figure = Figure(figsize=(12, 4), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    kept = history["epoch"].isin(list(kept_epochs))
    _pair_of_curves(loss, history["epoch"], history["loss"], history["val_loss"], kept)
    errors = (1 - history[["accuracy", "val_accuracy"]]).clip(lower=_LEAST_ERROR)
    _pair_of_curves(accuracy, history["epoch"], errors["accuracy"], errors["val_accuracy"], kept)
    rate.plot(history["epoch"], history["learning_rate"], color="black", marker=".")
    titles = (f"loss ({loss_unit})", "accuracy (%)", "learning rate")
    for axes, title in zip((loss, accuracy, rate), titles, strict=True):
        axes.set(xlabel="epoch", title=title, yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3, which="both")
    accuracy.invert_yaxis()
    accuracy.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    accuracy.yaxis.set_major_formatter(lambda error, _: f"{100 * (1 - error):.6g}")
    accuracy.yaxis.set_minor_formatter(NullFormatter())
    loss.legend()
    # Else a validation curve above the training curve puzzles whoever looks for overfitting.
    figure.supxlabel(
        "training figures are taken while the network learns, with the recipe's warps and dropout",
        fontsize=8,
    )
    return figure


def _check(history: pd.DataFrame, kept_epochs: Sequence[int]) -> None:
    """Raise ValueError unless `history` has rows, all columns and the kept epochs."""
    missing = [column for column in HISTORY_COLUMNS if column not in history.columns]
    strange = sorted(set(kept_epochs) - set(history["epoch"])) if not missing else []
    if missing or strange or history.empty:
        raise ValueError(
            f"history has {len(history)} rows, lacks the columns {missing} and the kept epochs "
            f"{strange}; rows with all of them are needed"
        )


def _pair_of_curves(
    axes: Axes, epochs: pd.Series, training: pd.Series, validation: pd.Series, kept: pd.Series
) -> None:
    """Draw a measure for training and validation rows; circle the epochs where `kept` is true."""
    # A dot at each epoch, because a history of one epoch has no line.
    axes.plot(epochs, training, color=BLUE, marker=".", label="training")
    axes.plot(epochs, validation, color=VERMILION, marker=".", label="validation")
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
