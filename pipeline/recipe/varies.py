"""How a setting may vary in a search."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Varies:
    """How `make search` varies a setting: from `low` to `high`, or around the recipe's own value.

    With `factor`, the range is the recipe's value divided and multiplied by it. `log` draws the
    logarithm evenly, as for rates.
    """

    low: float = 0.0
    high: float = 0.0
    factor: float = 0.0
    log: bool = False
