"""Pictures of digits, predictions and training: arrays in, a matplotlib Figure out.

Figures are made without pyplot, so nothing global is changed and no display is needed. The
colours are told apart with any kind of colour vision.
"""

from pipeline.evaluation.plots.bars import MOST_BARS, probability_bars
from pipeline.evaluation.plots.curves import HISTORY_COLUMNS, learning_curves
from pipeline.evaluation.plots.digit_grids import MOST_DIGITS, digit_grid, digits_by_row
from pipeline.evaluation.plots.heatmap import confusion_heatmap
from pipeline.evaluation.plots.intervals import accuracy_intervals
from pipeline.evaluation.plots.mistakes import worst_mistakes
from pipeline.evaluation.plots.saving import png, save

__all__ = [
    "HISTORY_COLUMNS",
    "MOST_BARS",
    "MOST_DIGITS",
    "accuracy_intervals",
    "confusion_heatmap",
    "digit_grid",
    "digits_by_row",
    "learning_curves",
    "png",
    "probability_bars",
    "save",
    "worst_mistakes",
]
