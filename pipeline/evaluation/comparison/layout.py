"""Lines and grids for a terminal: what is too long goes on below, and nothing is cut off."""

import shutil
import sys
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

NARROWEST = 80
"""Characters per line, unless the terminal has more."""

GAP = 2
"""Blanks between two columns."""


def show(render: Callable[[int], Sequence[RenderableType]]) -> None:
    """Print the parts that `render` returns for a number of characters per line, 80 or more."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else NARROWEST
    console = Console(width=max(width, NARROWEST), highlight=False, markup=False)
    with console.capture() as captured:
        for part in render(console.width):
            console.print(part)
    for text in captured.get().splitlines():
        print(text.rstrip())


def line(text: str, style: str = "") -> RenderableType:
    """Return a text as a paragraph; blanks at its beginning indent all of its lines."""
    stripped = text.lstrip(" ")
    return Padding(Text(stripped, style), (0, 0, 0, len(text) - len(stripped)))


def grid(widths: Sequence[int], cells: Sequence[str], style: str = "") -> Table:
    """Return cells beside each other, in columns of these widths."""
    table = Table.grid(padding=(0, GAP, 0, 0))
    for width in widths:
        table.add_column(width=width, overflow="fold")
    table.add_row(*(Text(cell, style) for cell in cells))
    return table
