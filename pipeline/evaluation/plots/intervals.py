"""Accuracies of several runs with their confidence intervals."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pipeline.evaluation.plots.style import BLUE, PALE_GREY, VERMILION

_INCHES_PER_LINE = 0.3


def accuracy_intervals(
    names: Sequence[str], accuracies: Sequence[float], intervals: Sequence[tuple[float, float]]
) -> Figure:
    """Draw accuracies with their 95 % intervals, one per line, in percent.

    A grey band behind all lines shows the first one's interval. Accuracies and both ends of each
    interval are shares in [0, 1]. Raises ValueError unless low <= accuracy <= high, or if the
    three sequences, which must not be empty, differ in length.
    """
    height = _INCHES_PER_LINE * (len(names) + 2)
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    low, high = intervals[0]
    axes.axvspan(100 * low, 100 * high, color=PALE_GREY)
    for line, (share, (low, high)) in enumerate(zip(accuracies, intervals, strict=True)):
        spread = [[100 * (share - low)], [100 * (high - share)]]
        colour = BLUE if line else VERMILION
        axes.errorbar(100 * share, line, xerr=spread, fmt="o", color=colour, capsize=3)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="validation accuracy (%), 95 % interval; grey: that of the first")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    return figure
