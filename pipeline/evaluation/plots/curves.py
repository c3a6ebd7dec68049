"""Learning curves: loss, accuracy and learning rate over the epochs."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pipeline.evaluation.plots.style import BLUE, VERMILION

_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
_LEAST_ERROR = 1e-4  # share of wrong answers at the top of the accuracy's scale


def learning_curves(
    history: pd.DataFrame, kept_epochs: Sequence[int], loss_unit: str = "nats"
) -> Figure:
    """Draw loss, accuracy (%) and learning rate over the epochs, and mark the kept epochs.

    `history` has one row per epoch and the columns epoch, loss, accuracy, val_loss, val_accuracy
    and learning_rate; accuracies are in [0, 1]. `kept_epochs` are the epochs whose checkpoints are
    on disk. `loss_unit` stands in the loss's title. All scales are logarithmic. The accuracy's
    scale shows the distance from 100 %, because the last epochs differ by tenths of a percent; an
    accuracy above 99.99 % is drawn at 99.99 %. Raises ValueError if `history` lacks a column, a
    kept epoch or any row.
    """
    _check_history(history, kept_epochs)
    figure = Figure(figsize=(12, 4), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    kept = history["epoch"].isin(list(kept_epochs))
    _draw_pair(loss, history["epoch"], history["loss"], history["val_loss"], kept)
    errors = (1 - history[["accuracy", "val_accuracy"]]).clip(lower=_LEAST_ERROR)
    _draw_pair(accuracy, history["epoch"], errors["accuracy"], errors["val_accuracy"], kept)
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
    # Explains why validation often looks better than training.
    figure.supxlabel(
        "training values are measured while the network learns, with augmentation and dropout",
        fontsize=8,
    )
    return figure


def _check_history(history: pd.DataFrame, kept_epochs: Sequence[int]) -> None:
    """Raise ValueError unless `history` has rows, all columns and the kept epochs."""
    missing = [column for column in _COLUMNS if column not in history.columns]
    unknown = [] if missing else sorted(set(kept_epochs) - set(history["epoch"]))
    if missing or unknown or history.empty:
        raise ValueError(
            f"history has {len(history)} rows, lacks the columns {missing} and the kept epochs "
            f"{unknown}; at least one row, all columns and all kept epochs are needed"
        )


def _draw_pair(
    axes: Axes, epochs: pd.Series, training: pd.Series, validation: pd.Series, kept: pd.Series
) -> None:
    """Draw one measure on training and validation rows; circle the epochs where `kept` is true."""
    # A dot per epoch, because a history of one epoch has no line.
    axes.plot(epochs, training, color=BLUE, marker=".", label="training")
    axes.plot(epochs, validation, color=VERMILION, marker=".", label="validation")
    axes.plot(
        epochs[kept],
        validation[kept],
        "o",
        markersize=9,
        fillstyle="none",
        color="black",
        label="kept checkpoint",
    )
