"""Pictures of digits, predictions and training: arrays in, a matplotlib Figure out.

Figures are made without pyplot, so nothing global is changed and no display is needed. The
colours are told apart with any kind of colour vision.
"""

from pipeline.plots.bars import MOST_BARS, probability_bars
from pipeline.plots.curves import HISTORY_COLUMNS, learning_curves
from pipeline.plots.digit_grids import MOST_DIGITS, digit_grid, digits_by_row
from pipeline.plots.heatmap import confusion_heatmap
from pipeline.plots.intervals import accuracy_intervals
from pipeline.plots.mistakes import worst_mistakes
from pipeline.plots.saving import png, save

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
