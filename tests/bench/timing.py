"""Timing several sides of a claim in turn, so that a busy moment of the machine hits them all."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

Work = Callable[[], object]
Rate = Callable[[], float]


@dataclass(frozen=True)
class Result:
    """What was measured of each side, by its name: one value a repeat, more is better.

    The first side is the peer that the others are compared with, if they are `compared`.
    """

    claim: str
    unit: str
    values: dict[str, list[float]]
    compared: bool = True

    @property
    def ratios(self) -> dict[str, list[float]]:
        """Each other side's values divided by the peer's, repeat by repeat; none, if not asked."""
        if not self.compared:
            return {}
        peer, *others = self.values
        return {
            name: [
                value / base
                for value, base in zip(self.values[name], self.values[peer], strict=True)
            ]
            for name in others
        }

    def record(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {**asdict(self), "ratios": self.ratios}

    def __str__(self) -> str:
        lines = [self.claim]
        for name, values in self.values.items():
            line = f"  {name:<46}{statistics.median(values):>11,.0f} {self.unit}"
            if name in self.ratios:
                ratios = self.ratios[name]
                line += (
                    f"{statistics.median(ratios):>8.2f} times ({min(ratios):.2f} to "
                    f"{max(ratios):.2f})"
                )
            lines.append(line)
        repeats = len(next(iter(self.values.values())))
        lines[0] += f" (median of {repeats} repeats"
        lines[0] += "; ratios repeat by repeat, with their range)" if self.compared else ")"
        return "\n".join(lines)


def interleave(
    claim: str, images: int, sides: Mapping[str, Work], repeats: int, warm_up: bool = True
) -> Result:
    """Time all sides in turn, each on `images` images; with `warm_up`, once unmeasured first."""
    if warm_up:
        for work in sides.values():
            work()

    def rate(work: Work) -> Rate:
        return lambda: images / _seconds(work)

    rates = {name: rate(work) for name, work in sides.items()}
    return interleave_rates(claim, "images/s", rates, repeats)


def interleave_rates(
    claim: str, unit: str, sides: Mapping[str, Rate], repeats: int, compared: bool = True
) -> Result:
    """Ask all sides in turn for what they measure themselves."""
    values: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, measure in sides.items():
            values[name].append(measure())
    return Result(claim, unit, values, compared)


def _seconds(work: Work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
