"""Which run is better, and whether the difference means anything.

Runs are ranked on the rows of one split only; the best ones of different splits are paired on the
rows that both were judged on. The figures come from the stored probabilities, not from the records.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, islice, product

import numpy as np
from numpy.typing import NDArray

from pipeline.competitions import submission
from pipeline.competitions.ledger import Upload
from pipeline.evaluation import scores
from pipeline.runs import Run


@dataclass(frozen=True)
class Row:
    """One run of a comparison.

    Accuracies and scores are shares in [0, 1], `low` and `high` the Wilson 95 % interval, log
    loss in nats. `one_fold_a_row` says that a run with folds was averaged with one on a hold-out,
    so that less of the ensemble speaks on validation rows than on test rows. Against the best run
    of the split: `p_value` of the exact McNemar test, and the rows that only this run, and only the
    best, gets right; None for the best itself.
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
    """The runs on one split, best first; `source` says where the data came from."""

    source: str
    split: str
    rows: list[Row]


@dataclass(frozen=True)
class Pair:
    """The best runs of two splits of the same data, on the `rows` that both were judged on.

    The accuracies are shares in [0, 1] of those rows. `p_value` is the exact McNemar test's;
    beside it stand the rows that only one of the two gets right.
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
    """All groups, the one with the newest run first, pairs, and the runs that have no scores."""

    groups: list[Group]
    pairs: list[Pair]
    unscored: list[Run]

    def as_json(self) -> dict[str, object]:
        """Return plain values for `--json`."""
        return {
            "groups": [asdict(group) for group in self.groups],
            "pairs": [asdict(pair) for pair in self.pairs],
            "unscored": [{"run": run.id, "state": run.state()} for run in self.unscored],
        }


def compare(runs: Sequence[Run], uploads: Sequence[Upload]) -> Comparison:
    """Group scored runs by split and rank each group by validation accuracy, then log loss.

    `runs` are oldest first. A score is that of the CSV which a run's stored probabilities make.
    Raises PipelineError where they cannot be read.
    """
    groups: dict[str, list[_Judged]] = {}
    for run in reversed(runs):
        if run.has_probabilities():
            groups.setdefault(run.record.split_fingerprint, []).append(_judge(run))
    ranked = {split: _ranked(judged) for split, judged in groups.items()}
    return Comparison(
        groups=[_group(split, judged, uploads) for split, judged in ranked.items()],
        pairs=_pairs(list(ranked.values())),
        unscored=[run for run in runs if not run.has_probabilities()],
    )


@dataclass(frozen=True)
class _Judged:
    run: Run
    rows: NDArray[np.int64]
    correct: NDArray[np.bool_]
    log_loss: float


def _ranked(judged: Sequence[_Judged]) -> list[_Judged]:
    return sorted(judged, key=lambda one: (-float(one.correct.mean()), one.log_loss))


def _scored_upload(run: Run, uploads: Sequence[Upload]) -> Upload | None:
    """Return the newest scored upload of the CSV that the run would write now.

    Not that of an earlier CSV of the run, which may have been trained on since.
    """
    labels = run.load_arrays("test")["probabilities"].argmax(axis=1)
    checksum = hashlib.sha256(submission.content(labels)).hexdigest()
    scored = [one for one in uploads if one.sha256 == checksum and one.public_score is not None]
    return scored[-1] if scored else None


def _group(split: str, judged: Sequence[_Judged], uploads: Sequence[Upload]) -> Group:
    rows = [_row(one, judged[0], _scored_upload(one.run, uploads)) for one in judged]
    return Group(source=_source(judged[0].run), split=split, rows=rows)


def _pairs(ranked: Sequence[Sequence[_Judged]]) -> list[Pair]:
    """Pair the best runs of all splits, two by two, where they share data and rows."""
    pairs = []
    for groups in combinations(ranked, 2):
        comparable = (pair for pair in product(*groups) if _independent(*pair))
        for first, second in islice(comparable, 1):
            of_first, of_second = _shared(first, second)
            test = scores.mcnemar_exact(of_first, of_second)
            pairs.append(
                Pair(
                    first=first.run.id,
                    second=second.run.id,
                    rows=len(of_first),
                    first_accuracy=float(of_first.mean()),
                    second_accuracy=float(of_second.mean()),
                    p_value=test.p_value,
                    only_first_right=test.only_a,
                    only_second_right=test.only_b,
                )
            )
    return pairs


def _independent(first: _Judged, second: _Judged) -> bool:
    """Say whether two runs share data and rows, and no run: an ensemble is not to meet its part."""
    ours, theirs = first.run.record, second.run.record
    same_data = ours.data_fingerprint == theirs.data_fingerprint
    kin = {ours.id, *ours.parents} & {theirs.id, *theirs.parents}
    return same_data and not kin and len(np.intersect1d(first.rows, second.rows)) > 0


def _shared(first: _Judged, second: _Judged) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of the rows that both predict each gets right."""
    _, ours, theirs = np.intersect1d(first.rows, second.rows, return_indices=True)
    return first.correct[ours], second.correct[theirs]


def _source(run: Run) -> str:
    seed = run.record.practice_seed
    return (
        f"{run.record.source}, seed {seed}"
        if run.record.source == "practice"
        else run.record.source
    )


def _judge(run: Run) -> _Judged:
    stored = run.load_arrays("validation")
    predictions = stored["probabilities"].argmax(axis=1)
    return _Judged(
        run=run,
        rows=stored["rows"],
        correct=predictions == stored["labels"],
        log_loss=scores.log_loss(stored["labels"], stored["probabilities"]),
    )


def _row(one: _Judged, best: _Judged, upload: Upload | None) -> Row:
    record, rows = one.run.record, len(one.correct)
    interval = scores.wilson_interval(int(one.correct.sum()), rows)
    # A run goes on without a fold whose members failed: only rows that both predict are paired.
    test = None if one is best else scores.mcnemar_exact(*_shared(one, best))
    return Row(
        run=record.id,
        recipe=record.recipe_name,
        seeds=sorted({member.seed for member in record.members}),
        state=one.run.state(),
        members=len(record.usable_members),
        checkpoints=record.checkpoint_count,
        epochs=sum(member.epochs for member in record.members),
        validation_accuracy=float(one.correct.mean()),
        low=interval.low,
        high=interval.high,
        validation_rows=rows,
        log_loss=one.log_loss,
        one_fold_a_row=record.kind == "average" and record.one_fold_per_row,
        p_value=test.p_value if test else None,
        only_this_right=test.only_a if test else None,
        only_best_right=test.only_b if test else None,
        test_accuracy=_test_accuracy(one.run),
        public_score=upload.public_score if upload else None,
        private_score=upload.private_score if upload else None,
        minutes=sum(record.timings.values()) / 60,
    )


def _test_accuracy(run: Run) -> float | None:
    """Return the accuracy on test rows whose labels the source publishes, in [0, 1]."""
    if run.record.scores is None or run.record.scores.test_accuracy is None:
        return None
    stored = run.load_arrays("test")
    return scores.accuracy(stored["labels"], stored["probabilities"].argmax(axis=1))
