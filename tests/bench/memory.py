"""The memory that commands use, sampled while they run (Linux only)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import psutil

INTERVAL = 0.2
"""Seconds between two samples."""


@dataclass
class Peak:
    """The most memory, in bytes, that all watched processes used at the same time."""

    bytes: int = 0


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Sample the memory of all processes that this one starts, until the block ends."""
    peak, ended = Peak(), Event()

    def sample() -> None:
        while not ended.wait(INTERVAL):
            children = psutil.Process().children(recursive=True)
            peak.bytes = max(peak.bytes, sum(used_memory(child.pid) for child in children))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def used_memory(process: int | None = None) -> int:
    """Return the bytes that a process uses, by default this one, and 0 if it has ended.

    Memory that several processes share counts in proportion.
    """
    try:
        return int(psutil.Process(process).memory_full_info().pss)
    except psutil.Error:
        return 0
