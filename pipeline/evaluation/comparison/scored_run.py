"""A run with its stored probabilities, as the comparison uses it."""

import hashlib
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.competitions import submission
from pipeline.evaluation import scores
from pipeline.runs import Run


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """A run, its validation rows, and what it predicts for its test rows.

    `rows` is integers [n], ascending row numbers; `labels` is integers [n] in 0..9;
    `probabilities` is float32 [n, 10]. `test_digits` is uint8 [m]; `test_labels` is integers [m],
    or None where they are not known. `rows_also_chose` and `one_fold_a_row` are as in `Scores`.
    """

    run: Run
    rows: NDArray[np.int64]
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    test_digits: NDArray[np.uint8]
    test_labels: NDArray[np.uint8] | None
    rows_also_chose: bool
    one_fold_a_row: bool

    def at(self, positions: NDArray[np.integer]) -> "ScoredRun":
        """Return the run with only the validation rows at these positions."""
        return replace(
            self,
            rows=self.rows[positions],
            labels=self.labels[positions],
            probabilities=self.probabilities[positions],
        )

    @property
    def out_of_fold(self) -> bool:
        """Whether each validation row is predicted by the members of one fold alone."""
        return any(member.fold for member in self.run.record.members)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Which validation rows the run gets right, bool [n]."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels)

    @cached_property
    def rank(self) -> tuple[float, float]:
        """What runs are sorted by, best first: validation accuracy, then log loss."""
        return -float(self.correct.mean()), scores.log_loss(self.labels, self.probabilities)

    @cached_property
    def csv_sha256(self) -> str:
        """The checksum of the submission that the stored probabilities give."""
        return hashlib.sha256(submission.content(self.test_digits)).hexdigest()

    @property
    def test_accuracy(self) -> float | None:
        """The share of right test digits, in [0, 1]; None where their labels are not known."""
        if self.test_labels is None:
            return None
        return scores.accuracy(self.test_labels, self.test_digits)


def load(run: Run, choosers: Container[str]) -> ScoredRun:
    """Read a run's stored probabilities. Raises PipelineError where a file is damaged.

    `choosers` are the ids of the runs in which the validation rows also chose something.
    """
    record = run.record
    stored, test = run.load_arrays("validation"), run.load_arrays("test")
    return ScoredRun(
        run=run,
        rows=stored["rows"],
        labels=stored["labels"],
        probabilities=stored["probabilities"],
        test_digits=test["probabilities"].argmax(axis=1).astype(np.uint8),
        test_labels=test.get("labels"),
        rows_also_chose=any(name in choosers for name in (record.id, *record.parents)),
        one_fold_a_row=record.kind == "average" and record.one_fold_per_row,
    )


def common_rows(
    first: ScoredRun, second: ScoredRun
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the positions, in each of two runs, of the validation rows that both have."""
    _, ours, theirs = np.intersect1d(
        first.rows, second.rows, assume_unique=True, return_indices=True
    )
    return ours, theirs
