"""The layout that several plots share: digits in rows and columns below a heading."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.data.spec import SPEC
from pipeline.evaluation.plots.style import BLACK, VERMILION

_NARROWEST = 6.0  # inches: room for a heading above a single digit, or a legend below
_HEADING_LINE = 0.3  # inches
_CHARACTERS_PER_INCH = 10  # of a heading, at its font size; figures are wider than letters


class Caption(NamedTuple):
    """The text at one digit: a title above it, its row below, and whether to highlight both."""

    title: str
    row: str = ""
    highlighted: bool = False


class Layout(NamedTuple):
    """A grid's most columns, the space for a digit with its caption, and its title's size.

    `width`, `height` and `margin`, which is for a heading of one line and a legend, are in inches,
    `title_size` is in points.
    """

    columns: int
    width: float
    height: float
    title_size: float = 10
    margin: float = 2 * _HEADING_LINE


def grid_figure(digits: int, layout: Layout, heading: str) -> tuple[Figure, int, int]:
    """Return an empty figure for a grid below a heading, and the grid's lines and columns.

    The figure grows downwards with the number of `digits` > 0.
    """
    columns = min(layout.columns, digits)
    lines = math.ceil(digits / columns)
    width = max(columns * layout.width, _NARROWEST)
    characters = int(width * _CHARACTERS_PER_INCH)
    title = "\n".join(textwrap.fill(line, characters) for line in heading.strip().splitlines())
    height = lines * layout.height + _HEADING_LINE * title.count("\n") + layout.margin
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(title)
    return figure, lines, columns


def draw_grid(
    images: NDArray[np.uint8], captions: Sequence[Caption], layout: Layout, heading: str
) -> Figure:
    """Draw images, uint8 [n, 28, 28, 1] with n > 0, and their captions below a heading."""
    figure, lines, columns = grid_figure(len(images), layout, heading)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, image, caption in zip(grid, images, captions, strict=False):
        draw_digit(axes, image, caption, layout.title_size)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    return figure


def draw_digit(
    axes: Axes, image: NDArray[np.uint8], caption: Caption, title_size: float = 10
) -> None:
    """Draw one image, uint8 [28, 28, 1], as dark ink on white, with its caption.

    A highlighted title is vermilion and bold, and its image is framed, so that it stands out
    without colour too.
    """
    axes.imshow(image[:, :, 0], cmap="gray_r", vmin=0, vmax=SPEC.highest_pixel)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(caption.highlighted)
    axes.spines[:].set(color=VERMILION, linewidth=1.5)
    axes.set_xlabel(caption.row, fontsize=8, labelpad=3)
    axes.set_title(caption.title, fontsize=title_size, pad=4, **title_style(caption.highlighted))


def title_style(highlighted: bool) -> dict[str, Any]:
    """Return the colour and weight of a digit's title, as keyword arguments of matplotlib."""
    if highlighted:
        return {"color": VERMILION, "fontweight": "bold"}
    return {"color": BLACK, "fontweight": "normal"}
