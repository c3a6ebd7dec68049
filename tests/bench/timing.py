"""Timing two sides of a claim in turn, so that a busy moment of the machine hits both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Result:
    """Images per second of each side, one value a repeat, and the ratio of ours to the peer's."""

    claim: str
    peer: str
    images: int
    peer_rates: list[float]
    our_rates: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours divided by the peer's, repeat by repeat."""
        return [our / peer for our, peer in zip(self.our_rates, self.peer_rates, strict=True)]

    def record(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {**asdict(self), "ratios": self.ratios, "ratio": statistics.median(self.ratios)}

    def __str__(self) -> str:
        low, high = min(self.ratios), max(self.ratios)
        return (
            f"{self.claim}\n"
            f"  {self.peer:<42}{statistics.median(self.peer_rates):>9,.0f} images/s\n"
            f"  {'ours':<42}{statistics.median(self.our_rates):>9,.0f} images/s\n"
            f"  {'ratio, median of ' + str(len(self.ratios)) + ' repeats (range)':<42}"
            f"{statistics.median(self.ratios):>9.2f} ({low:.2f} to {high:.2f})"
        )


def interleave(
    claim: str,
    peer_name: str,
    images: int,
    peer: Work,
    ours: Work,
    repeats: int,
    warm_up: bool = True,
) -> Result:
    """Run both sides in turn, `images` images each time; with `warm_up`, once unmeasured first."""
    if warm_up:
        peer()
        ours()
    peer_rates, our_rates = [], []
    for _ in range(repeats):
        peer_rates.append(images / _seconds(peer))
        our_rates.append(images / _seconds(ours))
    return Result(claim, peer_name, images, peer_rates, our_rates)


def _seconds(work: Work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
