"""Learning curves: loss, accuracy and learning rate over the epochs."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.evaluation.plots.style import BLACK, BLUE, VERMILION, plain_log_ticks

_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
_LEAST_ERROR = 1e-4  # share of wrong answers at the top of the accuracy's scale
_LEAST_LOSS = 1e-7  # that of a probability of 1 in Keras
_LEAST_RATE = 1e-3  # of the highest rate: the end of a cosine would take the whole scale
_MOST_DOTS = 60  # epochs; more dots than that hide the line


def learning_curves(
    history: pd.DataFrame,
    kept_epochs: Sequence[int],
    title: str = "",
    loss_unit: str = "nats",
) -> Figure:
    """Draw loss, accuracy (%) and learning rate over the epochs, and mark the kept epochs.

    `history` has one row per epoch and the columns epoch, loss, accuracy, val_loss, val_accuracy
    and learning_rate; accuracies are in [0, 1]. `kept_epochs` are the epochs whose checkpoints are
    on disk. `title` says whose curves they are; `loss_unit` stands beside the loss's scale. All
    scales are logarithmic. The accuracy's scale shows the distance from 100 %, because the last
    epochs differ by tenths of a percent. Accuracies above 99.99 %, losses below 1e-7 and rates
    below a thousandth of the highest are drawn at these limits. Raises ValueError if `history`
    lacks a column, a kept epoch or any row.
    """
    _check_history(history, kept_epochs)
    figure = Figure(figsize=(12, 4), layout="constrained")
    figure.suptitle(title)
    loss, accuracy, rate = figure.subplots(1, 3)
    kept, epochs = history["epoch"].isin(list(kept_epochs)), history["epoch"]
    losses = history[["loss", "val_loss"]].clip(lower=_LEAST_LOSS)
    _draw_pair(loss, epochs, losses["loss"], losses["val_loss"], kept)
    errors = (1 - history[["accuracy", "val_accuracy"]]).clip(lower=_LEAST_ERROR)
    _draw_pair(accuracy, epochs, errors["accuracy"], errors["val_accuracy"], kept)
    highest = max(history["learning_rate"].max(), 1e-12)  # a logarithmic scale has no 0
    rates = history["learning_rate"].clip(lower=_LEAST_RATE * highest)
    rate.plot(epochs, rates, color=BLACK, marker=_dot(epochs))
    names = (f"loss ({loss_unit})", "accuracy (%)", "learning rate")
    for axes, name in zip((loss, accuracy, rate), names, strict=True):
        axes.set(xlabel="epoch", ylabel=name, yscale="log", xlim=_epoch_limits(epochs))
        ticks = MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
        axes.xaxis.set_major_locator(ticks)
        plain_log_ticks(axes.yaxis)
        axes.grid(alpha=0.3)
    accuracy.invert_yaxis()
    accuracy.yaxis.set_major_formatter(lambda error, _: f"{100 * (1 - error):.6g}")
    loss.legend()
    # Explains why validation often looks better than training.
    figure.supxlabel(
        "training values are measured while the network learns, with augmentation and dropout",
        fontsize=8,
    )
    return figure


def _epoch_limits(epochs: pd.Series) -> tuple[float, float]:
    """Return the ends of the epochs' scale, without an epoch 0, which does not exist."""
    space = max(0.5, 0.03 * len(epochs))
    return max(epochs.min() - space, 0.1), epochs.max() + space


def _dot(epochs: pd.Series) -> str:
    """Return the marker of an epoch: a dot, because a history of one epoch has no line."""
    return "." if len(epochs) <= _MOST_DOTS else ""


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
    axes.plot(epochs, training, color=BLUE, marker=_dot(epochs), label="training")
    axes.plot(epochs, validation, color=VERMILION, marker=_dot(epochs), label="validation")
    axes.plot(
        epochs[kept],
        validation[kept],
        "o",
        markersize=9,
        fillstyle="none",
        color=BLACK,
        label="kept checkpoint",
    )
