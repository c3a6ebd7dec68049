"""Plots of digits, predictions and training: arrays in, a matplotlib Figure out.

No plot uses pyplot, so none needs a display or changes global state. People with any kind of
colour vision can tell the colours apart.
"""

from pipeline.evaluation.plots.bars import MOST_BARS, probability_bars
from pipeline.evaluation.plots.curves import learning_curves
from pipeline.evaluation.plots.digit_grids import MOST_DIGITS, digit_grid, worst_mistakes
from pipeline.evaluation.plots.heatmap import confusion_heatmap
from pipeline.evaluation.plots.intervals import accuracy_intervals
from pipeline.evaluation.plots.style import png, save
from pipeline.evaluation.plots.two_runs import Answers, disagreements, overlaid_curves

__all__ = [
    "MOST_BARS",
    "MOST_DIGITS",
    "Answers",
    "accuracy_intervals",
    "confusion_heatmap",
    "digit_grid",
    "disagreements",
    "learning_curves",
    "overlaid_curves",
    "png",
    "probability_bars",
    "save",
    "worst_mistakes",
]
