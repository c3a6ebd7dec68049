"""What all pictures share: their colours, their resolution and how they become files.

Blue and vermilion are of Okabe and Ito's palette, made for all kinds of colour vision.
"""

import io
from pathlib import Path

from matplotlib.figure import Figure

from pipeline.common import files

BLUE = "#0072B2"
VERMILION = "#D55E00"
BLACK = "#1A1A1A"
GREY = "#A6A6A6"
PALE_GREY = "#E3E3E3"
LINE_GREY = "#CCCCCC"

_DOTS_PER_INCH = 150


def png(figure: Figure) -> bytes:
    """Return `figure` as a PNG file's bytes, with 150 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to the PNG file `path`, completely or not at all. Raises OSError."""
    with files.replacing(path) as temporary:
        temporary.write_bytes(png(figure))
