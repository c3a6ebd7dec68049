"""How the comparison writes its figures; the table, the verdict and the report share it."""

from collections import Counter
from collections.abc import Sequence

from pipeline.common.text import printable
from pipeline.evaluation.comparison.model import RecipeRow, Setting

_LEAST_P = 1e-300


def p_value(value: float) -> str:
    """Return "0.0312", "1.3e-17" or, at the extreme, "<1e-300": never 0."""
    if value < _LEAST_P:
        return f"<{_LEAST_P:.0e}"
    return f"{value:.3g}" if value >= 0.001 else f"{value:.2g}"


def p_equals(value: float) -> str:
    """Return "p=0.0312", or "p<1e-300"."""
    text = p_value(value)
    return f"p{text}" if text.startswith("<") else f"p={text}"


def share(value: float) -> str:
    """Return an accuracy or another share in [0, 1] with five digits, as "0.99548"."""
    return f"{value:.5f}"


def difference(value: float) -> str:
    """Return a difference between two shares with its sign, as "-0.00013"."""
    rounded = round(value, 5)
    return f"{rounded:+.5f}" if rounded else share(0)


def interval(ends: tuple[float, float]) -> str:
    """Return the ends of an interval between shares, as "[0.99352, 0.99691]"."""
    return f"[{share(ends[0])}, {share(ends[1])}]"


def signed_interval(ends: tuple[float, float]) -> str:
    """Return the ends of an interval of a difference, as "[-0.00120, +0.00090]"."""
    return f"[{difference(ends[0])}, {difference(ends[1])}]"


def recipe_name(name: str) -> str:
    """Return the name of a recipe; an average's names that recur are counted, as "3 x fast"."""
    counts = Counter(name.split(" + "))
    return " + ".join(f"{count} x {one}" if count > 1 else one for one, count in counts.items())


def seeds(row: RecipeRow) -> str:
    """Return what a recipe's figures are the mean of, as "3 seeds: 0-2"."""
    if average := row.settings.get("average"):
        return f"average of {str(average).count(' + ') + 1}"
    if len(row.seeds) == 1:
        return f"seed {row.seeds[0]}"
    return f"{len(row.seeds)} seeds: {_ranges(row.seeds)}"


def _ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers, with three and more in a row joined, as "0-2, 5"."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    texts = (
        [f"{one[0]}-{one[-1]}"] if len(one) > 2 else map(str, one)  # "0, 1" is as short
        for one in groups
    )
    return ", ".join(text for group in texts for text in group)


def setting(key: str, value: Setting) -> str:
    """Return a setting as `SET` takes it, "none" for a key that is left out."""
    text = str(value)
    return f"{key}={printable(text.lower() if text in ('None', 'True', 'False') else text, 300)}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural but for 1, as "6,300 rows"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
