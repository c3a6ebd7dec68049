"""The score of a practice submission."""

from dataclasses import dataclass
from typing import NamedTuple


class Part(NamedTuple):
    """How many labels are correct on how many `rows`."""

    correct: int
    rows: int

    @property
    def share(self) -> float:
        """The share of correct labels in [0, 1], with 5 decimals as at Kaggle."""
        return round(self.correct / self.rows, 5)


@dataclass(frozen=True)
class Score:
    """A submission's score on the public, the private and all hidden rows."""

    public: Part
    private: Part
    hidden: Part
