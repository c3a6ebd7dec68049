"""Two recipes on the hidden rows of one practice competition: accuracies and their paired test.

`python -m tests.bench.paired runs/<id>/test.npz <peer's folder>/test.npz --digits data/practice`
compares two trainings by McNemar's test. Where a side is a folder with a file per seed, as
tests.bench.race leaves it, the test is about the recipes. A side may also be a file of
tests/bench/predictions, which tests.bench.predictions writes. It only reports. The pipeline chooses
nothing by it.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.statistics.accuracy import mean_accuracy_interval
from pipeline.evaluation.statistics.difference import difference
from tests.practice.hidden import hidden_of


def correct(side: Path, labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which hidden rows each of a side's files gets right, bool [files, rows].

    `side` is a file with `probabilities`, float [rows, 10], or `predicted`, integers [rows], or a
    folder of such files.
    """
    paths = sorted(side.glob("*.npz")) if side.is_dir() else [side]
    if not paths:
        raise SystemExit(f"error: {side} has no .npz file; name a folder that the race has filled")
    rows = []
    for path in paths:
        with np.load(path) as stored:
            rows.append(predicted(stored) == labels)
    return np.stack(rows)


def predicted(stored: Mapping[str, NDArray[Any]]) -> NDArray[np.integer[Any]]:
    """Return the predicted digits in a file of probabilities or of predictions."""
    return stored["predicted"] if "predicted" in stored else stored["probabilities"].argmax(axis=1)


def describe(names: tuple[str, str], first: NDArray[np.bool_], second: NDArray[np.bool_]) -> str:
    """Return the accuracy of two sides, bool [seeds, rows], and the test of their difference."""
    lines = []
    for name, rows in zip(names, (first, second), strict=True):
        interval = mean_accuracy_interval(rows)
        each = f" ({', '.join(f'{one:.5f}' for one in rows.mean(axis=1))})" if len(rows) > 1 else ""
        lines.append(
            f"{name}: {rows.mean():.5f}{each} on {rows.shape[1]:,} hidden rows "
            f"(95 % interval {interval.low:.5f} to {interval.high:.5f})"
        )
    found = difference(first, second)
    lines.append(
        f"the first minus the second: {found.difference:+.5f} (95 % interval "
        f"{found.interval.low:+.5f} to {found.interval.high:+.5f}), p = {found.p_value:.4f}"
    )
    if found.method == "mcnemar":
        lines[-1] += (
            f"; only the first predicts {found.only_a} rows correctly, only the second "
            f"{found.only_b}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the accuracy of each with its interval, and the paired test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", nargs=2, type=Path, help="test.npz, or a folder with one per seed")
    parser.add_argument("--digits", type=Path, required=True)
    arguments = parser.parse_args()
    labels = hidden_of(arguments.digits).labels
    first, second = (correct(side, labels) for side in arguments.sides)
    print(describe((str(arguments.sides[0]), str(arguments.sides[1])), first, second))


if __name__ == "__main__":
    main()
