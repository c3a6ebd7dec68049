"""What all pictures share: their colours, their resolution and how they become files.

Blue and vermilion are of Okabe and Ito's palette, made for all kinds of colour vision.
"""

import io
import math
from pathlib import Path

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from pipeline.common import files

BLUE = "#0072B2"
VERMILION = "#D55E00"
BLACK = "#1A1A1A"
GREY = "#A6A6A6"
PALE_GREY = "#E3E3E3"
LINE_GREY = "#CCCCCC"

_DOTS_PER_INCH = 150

_FEW_TICKS = 6
_DENSE, _WIDE = 6, 2_000
"""Ratios of a logarithmic axis's ends: below the first it gets even steps, from the second on
powers of ten alone, and in between 1, 2, 5, 10 and so on."""


def png(figure: Figure) -> bytes:
    """Return `figure` as a PNG file's bytes, with 150 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to the PNG file `path`, completely or not at all. Raises OSError."""
    with files.replacing(path) as temporary:
        temporary.write_bytes(png(figure))


def plain_log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with a few plain numbers, such as 0.02, as wide as it is now.

    Numbers below 0.00001 and from 1,000,000 on are written like 1e-06, which is shorter.
    """
    low, high = sorted(axis.get_view_interval())
    locator: Locator = MaxNLocator(_FEW_TICKS)
    if high / low >= _DENSE:
        step = 10.0 ** math.ceil(math.log10(high / low) / _FEW_TICKS)
        locator = LogLocator(step) if high / low >= _WIDE else LogLocator(subs=(1, 2, 5))
    axis.set_major_locator(locator)
    axis.set_major_formatter(_plain_number)
    axis.set_minor_locator(NullLocator())


def _plain_number(value: float, _: float) -> str:
    if 1e-5 < 1.001 * value < 1e6:
        return np.format_float_positional(value, precision=6, fractional=False, trim="-")
    return f"{value:g}"
