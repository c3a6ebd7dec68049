"""A picture as a file, or as its bytes."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from pipeline.common import files

_DOTS_PER_INCH = 150


def png(figure: Figure) -> bytes:
    """Return `figure` as PNG, 150 dots an inch."""
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=_DOTS_PER_INCH)
    return written.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as `png` gives it, wholly or not at all."""
    with files.replacing(path) as temporary:
        temporary.write_bytes(png(figure))
