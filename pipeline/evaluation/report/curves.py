"""The curves of all members as a few numbers: the page overlays any of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.evaluation.history import read_history
from pipeline.runs import HISTORY_FILE, Run, TrainingRecord

_LEAST = {"error": 0.01, "loss": 1e-6}
"""A logarithmic scale has no 0: no wrong row is drawn as 0.01 %."""

_MOST_EPOCHS = 400
"""Longer curves are thinned to about so many epochs, which are as many as a screen shows."""

Curves = dict[str, object]


def of_runs(runs: Sequence[Run]) -> dict[str, list[Curves]]:
    """Return the curves of every run's members, by the run's id.

    Each has "member", the number of the member from 1, "epoch", and for the training ("training")
    and the validation rows ("validation") "error", the wrong rows in percent, and "loss". A member
    without a readable history is left out, and so is a run without any.
    """
    found = {run.id: _of_run(run) for run in runs}
    return {run: curves for run, curves in found.items() if curves}


def loss_title(runs: Sequence[Run]) -> str:
    """Return the title of the losses' axis: its unit, if all of them share one."""
    losses = {
        run.record.recipe.training.loss for run in runs if isinstance(run.record, TrainingRecord)
    }
    if losses == {"mean_squared_error"}:
        return "loss (mean squared error)"
    return "loss" if "mean_squared_error" in losses else "loss (nats)"


def _of_run(run: Run) -> list[Curves]:
    if not isinstance(run.record, TrainingRecord):
        return []
    found = []
    for member in run.record.members:
        if member.epochs:
            try:
                history = read_history(run.member_folder(member.index) / HISTORY_FILE)
                found.append({"member": member.index + 1, **_numbers(history)})
            except (OSError, ValueError, KeyError):
                continue  # make submission says what is wrong with it
    return found


def _numbers(history: pd.DataFrame) -> Curves:
    kept = history.iloc[:: -(-len(history) // _MOST_EPOCHS)]
    return {
        "epoch": kept["epoch"].astype(int).tolist(),
        **{
            rows: {
                "error": _rounded(100 * (1 - kept[f"{prefix}accuracy"]), _LEAST["error"]),
                "loss": _rounded(kept[f"{prefix}loss"], _LEAST["loss"]),
            }
            for rows, prefix in (("training", ""), ("validation", "val_"))
        },
    }


def _rounded(values: pd.Series, least: float) -> list[float]:
    """Return values with four digits, which is more than a screen shows, up to 1e300."""
    return [float(f"{value:.4g}") for value in np.clip(values, least, 1e300)]
