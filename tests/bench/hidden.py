"""What kept predictions are worth on the hidden rows: accuracies, paired tests, common errors.

`python -m tests.bench.hidden --mnist data/mnist` reads tests/bench/predictions and prints a table
of all trainings, the mean of each recipe over the permutations, and how many rows all of one
permutation's trainings get wrong. It draws the latter anew in wrong_by_all.png. Nothing is chosen
by it.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from statsmodels.api import OLS

from pipeline.competitions.practice.draw import Draw, draw
from pipeline.data import mnist
from pipeline.evaluation import plots
from pipeline.evaluation.scores import Interval, wilson_interval
from pipeline.evaluation.statistics.difference import difference
from tests.bench.predictions import FOLDER

PEER = "fifteen"
PICTURE = Path(__file__).with_name("wrong_by_all.png")


class Kept(NamedTuple):
    """One training's answers: a recipe, the permutation, digits and truth, uint8 [28000].

    `digits` are the hidden rows' numbers in MNIST, int64 [28000].
    """

    recipe: str
    permutation: int
    predicted: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    digits: NDArray[np.int64]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which rows are predicted correctly, bool [28000]."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right


def read(folder: Path, labels: NDArray[np.uint8]) -> list[Kept]:
    """Return what is kept in a folder, given MNIST's labels, uint8 [70000], by permutation."""
    draws: dict[int, Draw] = {}
    found = []
    for path in folder.glob("*.npz"):
        recipe, _, seed = path.stem.rpartition("-")
        if int(seed) not in draws:
            draws[int(seed)] = draw(labels, int(seed))
        drawn = draws[int(seed)]
        with np.load(path) as stored:
            predicted = stored["predicted"]
        found.append(Kept(recipe, int(seed), predicted, drawn.hidden.labels, drawn.test))
    return sorted(found, key=lambda one: (one.permutation, one.correct.sum()))


def row_of(one: Kept, peer: Kept | None) -> str:
    """Return a training's row of the table, with McNemar's test against the peer's training."""
    correct = one.correct
    interval = wilson_interval(int(correct.sum()), len(correct))
    cells = [
        f"`{one.recipe}`",
        f"{one.permutation}",
        f"{(~correct).sum()}",
        f"{correct.mean():.5f} [{interval.low:.5f}, {interval.high:.5f}]",
    ]
    if peer and peer is not one:
        test = difference(correct[None], peer.correct[None])
        cells += [f"{test.only_a} : {test.only_b}", f"{test.p_value:.2g}"]
    return f"| {' | '.join([*cells, *[''] * (6 - len(cells))])} |"


def mean_of(trainings: list[Kept]) -> tuple[float, Interval]:
    """Return a recipe's accuracy over permutations, and its 95 % interval.

    A digit may be hidden in several permutations. So the variance is that of clusters, one per
    digit of MNIST, as statsmodels computes it. The interval is about these trainings.
    """
    correct = np.concatenate([one.correct for one in trainings]).astype(float)
    digits = np.concatenate([one.digits for one in trainings])
    groups = {"groups": digits}
    fitted = OLS(correct, np.ones_like(correct)).fit(cov_type="cluster", cov_kwds=groups)
    low, high = fitted.conf_int()[0]
    return float(correct.mean()), Interval(float(low), float(high))


def wrong_by_all(trainings: list[Kept]) -> NDArray[np.int64]:
    """Return the rows, from 0, that all trainings of one permutation get wrong."""
    return np.flatnonzero(~np.any([one.correct for one in trainings], axis=0))


def report(kept: list[Kept]) -> list[str]:
    """Return the lines to print."""
    lines = [
        "| recipe | permutation | errors | hidden accuracy (95 %) | only it : only the peer | p |",
        "|---|---|---|---|---|---|",
    ]
    peers = {one.permutation: one for one in kept if one.recipe == PEER}
    lines += [row_of(one, peers.get(one.permutation)) for one in kept]
    for recipe in sorted({one.recipe for one in kept}):
        trainings = [one for one in kept if one.recipe == recipe]
        if len(trainings) > 1:
            mean, interval = mean_of(trainings)
            lines += [
                "",
                f"{recipe}, mean of {len(trainings)} permutations: {mean:.5f} "
                f"[{interval.low:.5f}, {interval.high:.5f}]",
            ]
    return lines


def main() -> None:
    """Print the table, and draw the rows of permutation 0 that all trainings get wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, help="the folder of MNIST's files")
    folder = parser.parse_args().mnist
    images, labels = mnist.read_mnist(folder)
    kept = read(FOLDER, labels)
    print("\n".join(report(kept)))
    first = [one for one in kept if one.permutation == 0]
    rows = wrong_by_all(first)
    print(f"\nall {len(first)} trainings of permutation 0 get {len(rows)} rows wrong")
    best = first[-1]
    figure = plots.digit_grid(
        images[best.digits[rows]].reshape(-1, 28, 28, 1),
        best.labels[rows],
        best.predicted[rows],
        rows,
        f"wrong in all {len(first)} trainings; predictions of {best.recipe}",
    )
    plots.save(figure, PICTURE)


if __name__ == "__main__":
    main()
