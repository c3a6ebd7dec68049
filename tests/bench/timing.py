"""Measures several sides in turn, so that other work on the machine disturbs all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Work = Callable[[], object]

Rate = Callable[[], float]
"""Measures a side once and returns its rate, in units per second."""

Peers = Mapping[str, tuple[str, ...]]
"""The sides that a side is compared with, by its name."""


@dataclass(frozen=True)
class Result:
    """The measured values of each side, by its name: one per repeat. More is better."""

    claim: str
    unit: str
    values: Mapping[str, list[float]]
    peers: Peers = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def ratios(self, side: str, peer: str) -> list[float]:
        """Return the side's value divided by the peer's, for each repeat."""
        pairs = zip(self.values[side], self.values[peer], strict=True)
        return [value / base for value, base in pairs]

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ratios = {
            side: {peer: self.ratios(side, peer) for peer in peers}
            for side, peers in self.peers.items()
        }
        return {**asdict(self), "ratios": ratios}

    def __str__(self) -> str:
        repeats = len(next(iter(self.values.values())))
        legend = f"median of {repeats} repeats"
        if self.peers:
            legend += "; ratios to line [k]: median and range over the repeats"
        numbers = {name: number for number, name in enumerate(self.values, start=1)}
        lines = [f"{self.claim} ({legend})"]
        for name, values in self.values.items():
            line = f"  [{numbers[name]}] {name:<42}{statistics.median(values):>11,.0f} {self.unit}"
            for peer in self.peers.get(name, ()):
                ratios = self.ratios(name, peer)
                line += (
                    f"  {statistics.median(ratios):.2f} times [{numbers[peer]}] "
                    f"({min(ratios):.2f} to {max(ratios):.2f})"
                )
            lines.append(line)
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def rate_of(work: Work, count: int) -> Rate:
    """Return the rate of `work`, which processes `count` units when it is called."""

    def measure() -> float:
        started = time.perf_counter()
        work()
        return count / (time.perf_counter() - started)

    return measure


def against_first(sides: Mapping[str, Rate]) -> Peers:
    """Compare every side except the first with the first."""
    first, *others = sides
    return dict.fromkeys(others, (first,))


def interleave(
    claim: str,
    unit: str,
    sides: Mapping[str, Rate],
    repeats: int,
    peers: Peers | None = None,
    warm_up: bool = False,
) -> Result:
    """Measure all sides in turn, as often as `repeats`. Without `peers`, use `against_first`.

    With `warm_up` each side is measured once before, and that value is dropped.
    """
    if warm_up:
        for measure in sides.values():
            measure()
    values: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, measure in sides.items():
            values[name].append(measure())
    return Result(claim, unit, values, against_first(sides) if peers is None else peers)
