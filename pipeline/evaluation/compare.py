"""Ranks runs by their validation rows and tests whether their differences mean anything.

Only runs on the same split are ranked together. The best runs of different splits are compared in
pairs, on the validation rows that both have. All scores are computed from the stored
probabilities; those in the run records are not used.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.competitions import submission
from pipeline.competitions.ledger import Upload
from pipeline.evaluation import scores
from pipeline.runs import Arrays, Run


@dataclass(frozen=True)
class RankedRun:
    """One run among those on its split; `--json` prints the fields under their names.

    Accuracies and scores are shares in [0, 1]; `low` and `high` are the ends of the validation
    accuracy's Wilson 95 % interval; `log_loss` is in nats. `one_fold_a_row` marks an ensemble of a
    run with folds and a run with a hold-out: the members of one fold predict each validation row,
    those of all folds each test row, so that its validation accuracy is too low. `p_value` is
    the exact McNemar test's against the best run of the split; `only_this_right` and
    `only_best_right` count the rows that only one of the two gets right. All three are None for
    the best run itself.
    """

    run: str
    recipe: str
    seeds: list[int]
    state: str
    members: int
    checkpoints: int
    epochs: int
    validation_accuracy: float
    low: float
    high: float
    validation_rows: int
    log_loss: float
    one_fold_a_row: bool
    p_value: float | None
    only_this_right: int | None
    only_best_right: int | None
    test_accuracy: float | None
    public_score: float | None
    private_score: float | None
    minutes: float


@dataclass(frozen=True)
class Group:
    """The runs on one split, best first; `source` names their data."""

    source: str
    split: str
    runs: list[RankedRun]


@dataclass(frozen=True)
class Pair:
    """Two best runs of different splits of the same data, on their `rows` common validation rows.

    The accuracies are shares in [0, 1] of those rows. `p_value` is the exact McNemar test's;
    `only_first_right` and `only_second_right` count the rows that only one of the two gets right.
    """

    first: str
    second: str
    rows: int
    first_accuracy: float
    second_accuracy: float
    p_value: float
    only_first_right: int
    only_second_right: int


@dataclass(frozen=True)
class Comparison:
    """All groups (the one with the newest run first), the pairs, and the runs without scores.

    `unreadable` are the runs that are left out because of a damaged file: their names and why.
    """

    groups: list[Group]
    pairs: list[Pair]
    unscored: list[Run]
    unreadable: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        """Return plain values for `--json`."""
        return {
            "groups": [
                {"source": group.source, "split": group.split, "rows": [*map(asdict, group.runs)]}
                for group in self.groups
            ],
            "pairs": [asdict(pair) for pair in self.pairs],
            "unscored": [{"run": run.id, "state": run.state()} for run in self.unscored],
            "unreadable": [
                {"run": name, "reason": reason} for name, reason in self.unreadable.items()
            ],
        }


def compare(
    runs: Sequence[Run], uploads: Sequence[Upload], unreadable: Mapping[str, str]
) -> Comparison:
    """Group the scored runs by split; rank each group by validation accuracy, then log loss.

    `runs` are oldest first. `unreadable` are the runs whose record cannot be read; those whose
    probabilities cannot be read are added. A run's public and private score come from the upload of
    exactly the CSV that its stored probabilities give.
    """
    by_split: dict[str, list[_ScoredRun]] = {}
    left_out = dict(unreadable)
    for run in reversed(runs):
        if run.record.scores:
            try:
                by_split.setdefault(run.record.split_fingerprint, []).append(_score(run))
            except PipelineError as error:
                left_out[run.id] = str(error)
    splits = [ranked for ranked in by_split.values() if ranked]
    for ranked in splits:
        ranked.sort(key=lambda scored: (-scored.correct.mean(), scored.log_loss))
    return Comparison(
        groups=[_group(ranked, uploads) for ranked in splits],
        pairs=_pairs(splits),
        unscored=[run for run in runs if not run.record.scores],
        unreadable=left_out,
    )


@dataclass(frozen=True)
class _ScoredRun:
    """A run, the numbers of its validation rows, and which of them it gets right.

    `test` are the arrays of its test rows.
    """

    run: Run
    rows: NDArray[np.int64]
    correct: NDArray[np.bool_]
    log_loss: float
    test: Arrays


def _score(run: Run) -> _ScoredRun:
    stored, test = run.load_arrays("validation"), run.load_arrays("test")
    labels, probabilities = stored["labels"], stored["probabilities"]
    correct = probabilities.argmax(axis=1) == labels
    return _ScoredRun(run, stored["rows"], correct, scores.log_loss(labels, probabilities), test)


def _group(ranked: Sequence[_ScoredRun], uploads: Sequence[Upload]) -> Group:
    record = ranked[0].run.record
    practice = f", seed {record.practice_seed}" if record.source == "practice" else ""
    return Group(
        source=printable(f"{record.source}{practice}"),
        split=record.split_fingerprint,
        runs=[_ranked_run(scored, ranked[0], uploads) for scored in ranked],
    )


def _scored_upload(labels: NDArray[np.int64], uploads: Sequence[Upload]) -> Upload | None:
    """Return the newest scored upload of the CSV with the test labels that a run predicts now.

    An earlier CSV of the run does not count, because the run may have been trained since.
    """
    checksum = hashlib.sha256(submission.content(labels)).hexdigest()
    scored = (upload for upload in reversed(uploads) if upload.public_score is not None)
    return next((upload for upload in scored if upload.sha256 == checksum), None)


def _ranked_run(scored: _ScoredRun, best: _ScoredRun, uploads: Sequence[Upload]) -> RankedRun:
    record, rows = scored.run.record, len(scored.correct)
    predictions, labels = scored.test["probabilities"].argmax(axis=1), scored.test.get("labels")
    upload = _scored_upload(predictions, uploads)
    test_accuracy = None if labels is None else scores.accuracy(labels, predictions)
    interval = scores.wilson_interval(int(scored.correct.sum()), rows)
    # A run whose fold failed lacks that fold's rows, so only the common rows can be paired.
    test = None if scored is best else scores.mcnemar_exact(*_paired(scored, best))
    return RankedRun(
        run=record.id,
        recipe=record.recipe_name,
        seeds=sorted({member.seed for member in record.members}),
        state=scored.run.state(),
        members=len(record.usable_members),
        checkpoints=record.checkpoint_count,
        epochs=sum(member.epochs for member in record.members),
        validation_accuracy=float(scored.correct.mean()),
        low=interval.low,
        high=interval.high,
        validation_rows=rows,
        log_loss=scored.log_loss,
        one_fold_a_row=record.kind == "average" and record.one_fold_per_row,
        p_value=test.p_value if test else None,
        only_this_right=test.only_a if test else None,
        only_best_right=test.only_b if test else None,
        test_accuracy=test_accuracy,
        public_score=upload.public_score if upload else None,
        private_score=upload.private_score if upload else None,
        minutes=sum(record.timings.values()) / 60,
    )


def _pairs(splits: Sequence[Sequence[_ScoredRun]]) -> list[Pair]:
    """Pair the best comparable runs of every two splits; each split's runs are best first."""
    pairs = []
    for first_runs, second_runs in combinations(splits, 2):
        comparable = (pair for pair in product(first_runs, second_runs) if _comparable(*pair))
        best_pair = next(comparable, None)
        if best_pair:
            pairs.append(_pair(*best_pair))
    return pairs


def _comparable(first: _ScoredRun, second: _ScoredRun) -> bool:
    """Return whether two runs share data and validation rows, but no run that they average."""
    ours, theirs = first.run.record, second.run.record
    same_data = ours.data_fingerprint == theirs.data_fingerprint
    common_runs = {ours.id, *ours.parents} & {theirs.id, *theirs.parents}
    return same_data and not common_runs and len(np.intersect1d(first.rows, second.rows)) > 0


def _pair(first: _ScoredRun, second: _ScoredRun) -> Pair:
    first_correct, second_correct = _paired(first, second)
    test = scores.mcnemar_exact(first_correct, second_correct)
    return Pair(
        first=first.run.id,
        second=second.run.id,
        rows=len(first_correct),
        first_accuracy=float(first_correct.mean()),
        second_accuracy=float(second_correct.mean()),
        p_value=test.p_value,
        only_first_right=test.only_a,
        only_second_right=test.only_b,
    )


def _paired(first: _ScoredRun, second: _ScoredRun) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of their common rows each of two runs gets right."""
    _, ours, theirs = np.intersect1d(first.rows, second.rows, return_indices=True)
    return first.correct[ours], second.correct[theirs]
