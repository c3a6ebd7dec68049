"""What commands print: lines without control characters, or JSON."""

import json
import sys
from typing import Any, Protocol

from pipeline.common.errors import LONGEST_MESSAGE
from pipeline.common.text import printable


class Result(Protocol):
    """What a stage returns to be printed."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `--json`."""

    def lines(self) -> list[str]:
        """Return the lines for a person."""


def print_line(line: str) -> None:
    """Print a line on stdout. What it quotes from files may hold control characters."""
    print(printable(line, LONGEST_MESSAGE), flush=True)


def print_aside(line: str) -> None:
    """Print a line on stderr, as `print_line` does."""
    print(printable(line, LONGEST_MESSAGE), file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print plain values as JSON on stdout."""
    print(json.dumps(value, indent=2))


def print_result(result: Result, as_json: bool) -> None:
    """Print a stage's result as JSON or as lines."""
    if as_json:
        print_json(result.as_json())
    else:
        for line in result.lines():
            print_line(line)
