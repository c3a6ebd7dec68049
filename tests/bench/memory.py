"""The memory that commands take, sampled while they run (on Linux)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import psutil

INTERVAL = 0.2
"""Seconds between two looks."""


@dataclass
class Peak:
    """The most memory, in bytes, that a process and all it started held at the same time."""

    bytes: int = 0


@contextmanager
def watched() -> Iterator[Peak]:
    """Sample the memory of all processes that this one starts, until the block ends."""
    peak, ended = Peak(), Event()

    def sample() -> None:
        while not ended.wait(INTERVAL):
            peak.bytes = max(peak.bytes, sum(map(held, _descendants())))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def held(process: int) -> int:
    """Return a process's memory in bytes, with what it shares with others in proportion."""
    try:
        return int(psutil.Process(process).memory_full_info().pss)
    except psutil.Error:  # the process has ended
        return 0


def _descendants() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True)]
