"""The entries of tests/bench/LOG.md that experiments write themselves.

An entry is a numbered paragraph. Its first line has the title and what was expected, written before
anything is trained. The figures replace the lines below it.
"""

import re
import textwrap
from pathlib import Path

from pipeline.common import files

LOG = Path(__file__).with_name("LOG.md")
WIDTH = 140
INDENT = " " * 4


def expect(title: str, expected: str, log: Path = LOG) -> None:
    """Add an entry with an expectation and no figures. Nothing changes if it is there already.

    Raises SystemExit if the entry is there with another expectation.
    """
    text = log.read_text(encoding="utf-8")
    head = _head(title, expected)
    if head in text:
        return
    if _title(title) in text:
        raise SystemExit(f"error: {log} has {title!r} with another expectation; give that one")
    last = max(map(int, re.findall(r"^(\d+)\. ", text, re.MULTILINE)), default=0)
    files.write_text(log, f"{text.rstrip()}\n\n{last + 1}. {head}\n{INDENT}Not done yet.\n")


def record(title: str, figures: str, log: Path = LOG) -> None:
    """Write the figures of an entry, lines of text, in place of those that it has.

    Raises SystemExit if there is no such entry.
    """
    paragraphs = log.read_text(encoding="utf-8").split("\n\n")
    places = [place for place, text in enumerate(paragraphs) if _title(title) in text]
    if not places:
        raise SystemExit(f"error: {log} has no entry {title!r}; bring it back")
    head, *_ = paragraphs[places[0]].split("\n")
    paragraphs[places[0]] = "\n".join([head, *map(_wrapped, figures.split("\n"))])
    files.write_text(log, "\n\n".join(paragraphs).rstrip() + "\n")


def _wrapped(line: str) -> str:
    return textwrap.fill(
        line, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False
    )


def _title(title: str) -> str:
    return f". **{title}.** "


def _head(title: str, expected: str) -> str:
    return f"**{title}.** Expected: {expected}."
