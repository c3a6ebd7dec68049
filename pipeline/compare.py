"""Which run is better, and whether the difference means anything.

Runs are compared on the rows of one split only. The figures come from the stored probabilities,
not from the records.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import scores
from pipeline.ledger import Upload
from pipeline.runs import Run


@dataclass(frozen=True)
class Row:
    """One run of a comparison.

    Accuracies and scores are shares in [0, 1], `low` and `high` the Wilson 95 % interval, log
    loss in nats. Against the best run of the split: `p_value` of the exact McNemar test, and the
    rows that only this run, and only the best, gets right; None for the best itself.
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
class Comparison:
    """All groups, the one with the newest run first, and the runs that have no scores yet."""

    groups: list[Group]
    unscored: list[Run]

    def as_json(self) -> dict[str, object]:
        """Return plain values for `--json`."""
        return {
            "groups": [asdict(group) for group in self.groups],
            "unscored": [{"run": run.id, "state": run.state()} for run in self.unscored],
        }


def compare(runs: Sequence[Run], uploads: Sequence[Upload]) -> Comparison:
    """Group scored runs by split and rank each group by validation accuracy, then log loss.

    `runs` are oldest first. Raises PipelineError where a run's probabilities cannot be read.
    """
    groups: dict[str, list[Run]] = {}
    for run in reversed(runs):
        if run.has_probabilities():
            groups.setdefault(run.record.split_fingerprint, []).append(run)
    return Comparison(
        groups=[_group(split, members, uploads) for split, members in groups.items()],
        unscored=[run for run in runs if not run.has_probabilities()],
    )


@dataclass(frozen=True)
class _Judged:
    run: Run
    rows: NDArray[np.int64]
    correct: NDArray[np.bool_]
    log_loss: float


def _group(split: str, runs: Sequence[Run], uploads: Sequence[Upload]) -> Group:
    judged = sorted(
        (_judge(run) for run in runs), key=lambda one: (-float(one.correct.mean()), one.log_loss)
    )
    rows = [_row(one, judged[0], _upload_of(one.run, uploads)) for one in judged]
    return Group(source=_source(runs[0]), split=split, rows=rows)


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
    _, ours, theirs = np.intersect1d(one.rows, best.rows, return_indices=True)
    test = None if one is best else scores.mcnemar_exact(one.correct[ours], best.correct[theirs])
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


def _upload_of(run: Run, uploads: Sequence[Upload]) -> Upload | None:
    """Return the newest scored upload of a run."""
    scored = [one for one in uploads if one.run == run.id and one.public_score is not None]
    return scored[-1] if scored else None


COLUMNS = (
    "run",
    "recipe",
    "seed",
    "members",
    "epochs",
    "validation accuracy (95 %)",
    "log loss",
    "p against best",
)
"""The columns of every table; a test accuracy or a public score, and the minutes, follow."""


def table(group: Group) -> Table:
    """Lay a group out for the terminal."""
    size = max(row.validation_rows for row in group.rows)
    made = Table(
        title=escape(f"{group.source}: split {group.split[:12]}, {size:,} validation rows"),
        title_justify="left",
    )
    published = any(row.test_accuracy is not None for row in group.rows)
    for column in (*COLUMNS, "test accuracy" if published else "public score", "minutes"):
        made.add_column(column, justify="left" if column in ("run", "recipe") else "right")
    for row in group.rows:
        score = row.test_accuracy if published else row.public_score
        made.add_row(
            row.run if row.state == "done" else f"{row.run} ({row.state})",
            row.recipe,
            ", ".join(map(str, row.seeds)),
            str(row.members),
            str(row.epochs),
            f"{row.validation_accuracy:.5f} [{row.low:.5f}, {row.high:.5f}]{_fewer(row, size)}",
            f"{row.log_loss:.5f}",
            _verdict(row),
            "" if score is None else f"{score:.5f}",
            f"{row.minutes:.1f}",
        )
    return made


def _fewer(row: Row, size: int) -> str:
    """Return on how many rows a run was judged, where a fold failed and it is fewer than others."""
    return "" if row.validation_rows == size else f" on {row.validation_rows:,} rows"


def _verdict(row: Row) -> str:
    if row.p_value is None:
        return "best"
    return f"{row.p_value:.3g} ({row.only_this_right}:{row.only_best_right})"


EXPLANATION = (
    "p against best: exact McNemar test on the rows that only one of the two gets right (a:b, "
    "this run's : the best's). Above 0.05 the difference may be chance; with many runs, look for "
    "less than 0.05 divided by their number. Where the validation rows also "
    "chose the checkpoints or stopped the training, as in bn_cnn and quick, validation accuracies "
    "are a little too good."
)


def show(comparison: Comparison) -> None:
    """Print every group's table, what its columns mean, and the runs without scores."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for group in comparison.groups:
        console.print(table(group))
    if comparison.groups:
        console.print(EXPLANATION)
    else:
        console.print("no scored runs yet; make submit makes one")
    for run in comparison.unscored:
        line = f"without scores: {run.id} ({run.state()}) {run.record.reason}"
        console.print(line.rstrip(), markup=False)
