"""How often the expected public score covers the public score: runs on practice data.

`python -m tests.bench.public_score --runs runs --digits data/practice` takes every finished run on
these digits, and draws 7,000 public rows many times for each.

- Fixed: the run's own validation rows give the interval, and the public rows are drawn from the
  28,000 hidden ones. The draws of one run share its validation rows, so a run is covered nearly
  always or, if these rows happen to be easy or hard, seldom. Only the mean over many runs could
  come to 95 %.
- Redrawn: validation and public rows are both drawn from all rows that the run was not trained on,
  which are exchangeable. Here each run alone should come to about 95 %. A run with folds has no
  such rows beside the hidden ones.

How many right answers are among rows drawn without replacement is hypergeometric, so the numbers
are drawn, not the rows. This only reports: nothing is chosen by hidden labels.
"""

import argparse
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.data.digits import fingerprint
from pipeline.data.spec import SPEC
from pipeline.evaluation.statistics.public_score import public_score_interval
from pipeline.runs import Run, RunStore
from tests.practice.hidden import hidden_of

_interval = cache(public_score_interval)


class Answers(NamedTuple):
    """How many rows a run gets right and wrong."""

    right: int
    wrong: int

    @property
    def accuracy(self) -> float:
        return self.right / sum(self)

    def drawn(self, rows: int, random: np.random.Generator) -> "Answers":
        """Draw `rows` of these rows without replacement."""
        right = int(random.hypergeometric(self.right, self.wrong, rows))
        return Answers(right, rows - right)

    def without(self, others: "Answers") -> "Answers":
        return Answers(self.right - others.right, self.wrong - others.wrong)


def is_covered(validation: Answers, public: Answers) -> bool:
    """Return whether the interval from the validation rows contains the public score."""
    low, high = _interval(validation.right, sum(validation), sum(public))
    return low <= public.accuracy <= high


def fixed(validation: Answers, hidden: Answers, draws: int, random: np.random.Generator) -> float:
    """Return the share of draws of the public rows that are covered."""
    rows = SPEC.public_rows
    covered = [is_covered(validation, hidden.drawn(rows, random)) for _ in range(draws)]
    return float(np.mean(covered))


def redrawn(validation: Answers, hidden: Answers, draws: int, random: np.random.Generator) -> float:
    """Return the share of draws of both that are covered; as many validation rows as there are."""
    everything = Answers(validation.right + hidden.right, validation.wrong + hidden.wrong)
    covered = []
    for _ in range(draws):
        some = everything.drawn(sum(validation), random)
        others = everything.without(some).drawn(SPEC.public_rows, random)
        covered.append(is_covered(some, others))
    return float(np.mean(covered))


def answers(run: Run, digits: Path) -> tuple[Answers, Answers]:
    """Return how a run does on its validation rows and on the hidden ones."""
    validation = run.load_arrays("validation")
    counts = []
    for probabilities, labels in (
        (validation["probabilities"], validation["labels"]),
        (run.load_arrays("test")["probabilities"], hidden_of(digits).labels),
    ):
        right = int((probabilities.argmax(axis=1) == labels).sum())
        counts.append(Answers(right, len(labels) - right))
    return counts[0], counts[1]


def table(runs: list[Run], digits: Path, draws: int) -> str:
    """Return, as Markdown, a line for each run, and the means of those without and with folds."""
    random = np.random.default_rng(0)
    lines = [
        "| run | validation rows | validation | hidden | hidden - validation, points "
        "| covered, fixed | covered, redrawn |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    means: dict[str, list[list[float]]] = {"hold-out": [], "folds": []}
    for run in runs:
        validation, hidden = answers(run, digits)
        folds = run.training.recipe.members.folds > 0
        gap = 100 * (hidden.accuracy - validation.accuracy)
        shares = [fixed(validation, hidden, draws, random)]
        if not folds:
            shares.append(redrawn(validation, hidden, draws, random))
        means["folds" if folds else "hold-out"].append([gap, *shares])
        accuracies = f"{validation.accuracy:.5f} | {hidden.accuracy:.5f}"
        lines.append(f"| {run.id} | {sum(validation):,} | {accuracies} | {_cells([gap, *shares])}")
    for kind, figures in means.items():
        if figures:
            mean = _cells([float(column) for column in np.mean(figures, axis=0)])
            lines.append(f"| mean of {len(figures)}, {kind} | | | | {mean}")
    return "\n".join(lines)


def _cells(figures: list[float]) -> str:
    gap, *shares = figures
    cells = [f"{gap:+.3f}", *(f"{share:.1%}" for share in shares), "-"][:3]
    return f"{' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=10_000)
    arguments = parser.parse_args()
    digits = arguments.digits
    data = fingerprint(digits / SPEC.train_file, digits / SPEC.test_file)
    runs = [
        run
        for run in RunStore(arguments.runs).all()
        if run.record.data_fingerprint == data and run.record.scores and not run.record.parents
    ]
    if not runs:
        raise SystemExit(f"error: {arguments.runs} holds no finished run on {digits}")
    print(table(runs, digits, arguments.draws))


if __name__ == "__main__":
    main()
