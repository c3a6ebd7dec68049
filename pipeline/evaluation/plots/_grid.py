"""The one way in which several pictures lay out digits beside and below each other."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.evaluation.plots._colours import BLACK, VERMILION

NARROWEST = 6.0
"""Inches: room for a heading above a single digit, or a legend below."""

_CHARACTERS_PER_INCH = 10  # of a heading, at its font size; digits take more than letters


class Caption(NamedTuple):
    """What stands at one digit: a title above, its row below, and whether it stands out."""

    title: str
    row: str = ""
    stands_out: bool = False


class Cell(NamedTuple):
    """The room for one digit with its captions: inches, and the title's size in points."""

    width: float
    height: float
    title_size: float


def draw_grid(
    images: NDArray[np.uint8], captions: Sequence[Caption], heading: str, columns: int, cell: Cell
) -> Figure:
    """Draw images, uint8 [n, 28, 28, 1], row by row in at most `columns` columns.

    There is one caption per image, n > 0. The figure grows downwards with n.
    """
    columns = min(columns, len(images))
    lines = -(-len(images) // columns)
    width = max(columns * cell.width, NARROWEST)
    title = wrapped(heading, width)
    height = lines * cell.height + 0.3 * (title.count("\n") + 2)
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(title)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, image, caption in zip(grid, images, captions, strict=False):
        show_digit(axes, image, caption, cell.title_size)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    return figure


def show_digit(
    axes: Axes, image: NDArray[np.uint8], caption: Caption, title_size: float = 10
) -> None:
    """Draw one image, uint8 [28, 28, 1], dark ink on white, with its caption.

    A caption that stands out is vermilion and bold, and the image framed, so that it does so
    without colour too.
    """
    axes.imshow(image[:, :, 0], cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(caption.stands_out)
    axes.spines[:].set(color=VERMILION, linewidth=1.5)
    axes.set_xlabel(caption.row, fontsize=8, labelpad=3)
    axes.set_title(
        caption.title,
        fontsize=title_size,
        pad=4,
        color=VERMILION if caption.stands_out else BLACK,
        fontweight="bold" if caption.stands_out else "normal",
    )


def wrapped(heading: str, width: float) -> str:
    """Return `heading` broken into lines that fit a figure `width` inches wide."""
    characters = int(width * _CHARACTERS_PER_INCH)
    return "\n".join(textwrap.fill(line, characters) for line in heading.splitlines())
