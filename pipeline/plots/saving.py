"""Writing a picture to disk."""

from pathlib import Path

from matplotlib.figure import Figure

from pipeline import files

_DOTS_PER_INCH = 150


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as PNG, 150 dots an inch, wholly or not at all."""
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH)
