"""The confusion table as a heatmap."""

import numpy as np
import seaborn as sns
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipeline.data.spec import SPEC
from pipeline.evaluation import scores
from pipeline.evaluation.plots.style import LINE_GREY, PALE_GREY


def confusion_heatmap(
    labels: NDArray[np.integer], predictions: NDArray[np.integer], title: str
) -> Figure:
    """Draw how often each label was predicted as each digit, with the accuracy in the title.

    `labels` and `predictions` are integers [n] in 0..9, n > 0. Counts of right answers are grey,
    so that colour shows errors only; a cell without errors is blank. The interval is
    `scores.wilson_interval` at 95 %. Raises ValueError as `scores.crosstab` does.
    """
    counts = scores.crosstab(labels, predictions).to_numpy()[:-1, :-1]  # without the sums
    right = np.eye(SPEC.classes, dtype=bool)
    total, correct = int(counts.sum()), int(counts[right].sum())
    low, high = scores.wilson_interval(correct, total)
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    style = {"annot": True, "fmt": "d", "square": True, "ax": axes}
    sns.heatmap(counts, mask=~right, cmap=ListedColormap([PALE_GREY]), cbar=False, **style)
    most = int(counts[~right].max())
    sns.heatmap(
        counts,
        mask=right | (counts == 0),
        cmap="YlOrBr",
        vmin=0,
        vmax=max(most, 1),
        cbar_kws={"label": "errors", "shrink": 0.8, "ticks": MaxNLocator(integer=True)},
        **style,
    )
    # Lines lead the eye from a lone error to its two labels.
    edges = range(SPEC.classes + 1)
    axes.hlines(edges, 0, SPEC.classes, color=LINE_GREY, linewidth=0.6)
    axes.vlines(edges, 0, SPEC.classes, color=LINE_GREY, linewidth=0.6)
    axes.set(xlabel="predicted label", ylabel="true label")
    axes.tick_params(length=0, rotation=0)
    axes.set_title(
        f"{title}\naccuracy {100 * correct / total:.2f} % "
        f"(95 % interval {100 * low:.2f} to {100 * high:.2f} %), "
        f"{total - correct:,} errors, n = {total:,}",
        fontsize=11,
    )
    return figure
