"""The memory that commands take, sampled while they run (Linux: /proc)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

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
            peak.bytes = max(peak.bytes, sum(map(held, _descendants(os.getpid()))))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def held(process: int) -> int:
    """Return a process's memory in bytes, what it shares with others counted in proportion."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _descendants(process: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(child) for child in path.read_text().split()]
        except OSError:  # the process has ended
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found
