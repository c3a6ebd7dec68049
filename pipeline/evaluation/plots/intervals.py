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
    interval are shares in [0, 1] with low <= accuracy <= high. Raises ValueError if they are not,
    or if the three sequences are empty or differ in length.
    """
    complete = len(names) == len(accuracies) == len(intervals) > 0
    if not complete or not all(
        0 <= low <= share <= high <= 1
        for share, (low, high) in zip(accuracies, intervals, strict=False)
    ):
        raise ValueError(
            f"there are {len(names)} names, {len(accuracies)} accuracies and {len(intervals)} "
            "intervals; as many of each, at least one, and shares with low <= accuracy <= high "
            "are needed"
        )
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
    axes.set(xlabel="validation accuracy (%), 95 % interval", ylim=(len(names) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)
    return figure
