"""Two runs in depth: `make compare RUN="A B"`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.competitions.ledger import Upload
from pipeline.evaluation.comparison import measures
from pipeline.evaluation.comparison.model import AgainstBest, RunRow, Setting
from pipeline.evaluation.comparison.recipes import settings_of, with_choosing_rows
from pipeline.evaluation.comparison.run_rows import run_row
from pipeline.evaluation.comparison.scored_run import ScoredRun, common_rows, load
from pipeline.runs import Run, TrainingRecord


@dataclass(frozen=True)
class TwoRuns:
    """Two runs, with their scores on the validation rows that both have.

    `settings` are the values that differ, of the first and the second run, by dotted key. `test`
    is the second against the first. `only_first_right` and `only_second_right` are the numbers of
    the rows that only one of them gets right.
    """

    first: RunRow
    second: RunRow
    settings: dict[str, tuple[Setting, Setting]]
    test: AgainstBest
    only_first_right: list[int]
    only_second_right: list[int]

    def as_json(self) -> dict[str, object]:
        """Return plain values for `--json`."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Disagreement:
    """The rows that only one of two runs gets right.

    `rows`, `labels`, `first` and `second` are integers [n]: row numbers, labels, and what the runs
    predict. `first_is_right` is bool [n].
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.uint8]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @property
    def first_is_right(self) -> NDArray[np.bool_]:
        """Where the first run is the one that is right, bool [n]."""
        return np.asarray(self.first == self.labels)


def compare_two(
    first: Run, second: Run, runs: Sequence[Run], uploads: Sequence[Upload]
) -> tuple[TwoRuns, Disagreement]:
    """Compare two of all `runs` on the validation rows that both have.

    Raises PipelineError where they have none, or where a run has no scores or damaged ones.
    """
    for run in (first, second):
        if not run.record.scores:
            raise PipelineError(
                f"run {run.id} ({run.state()}) has no scores yet; make ensemble RUN={run.id} "
                "finishes it"
            )
    choosers = with_choosing_rows(runs)
    whole = load(first, choosers), load(second, choosers)
    same_data = first.record.data_fingerprint == second.record.data_fingerprint
    ours, theirs = common_rows(*whole)
    if not same_data or not len(ours):
        sources = " and ".join(printable(run.record.source) for run in (first, second))
        raise PipelineError(
            f"runs {first.id} and {second.id} have no validation rows in common (of {sources}"
            f"{'' if same_data else ', different data'}); compare runs on the same split, or one "
            "of them with a run with folds"
        )
    one, other = whole[0].at(ours), whole[1].at(theirs)
    disagreement = _disagreement(one, other)
    right = disagreement.first_is_right
    scores = measures.scores_of([[one], [other]])
    result = TwoRuns(
        first=run_row(one, scores[0], 0, uploads),
        second=run_row(other, scores[1], 1, uploads),
        settings=_settings(first, second),
        test=measures.against(other.correct[None], one.correct[None]),
        only_first_right=disagreement.rows[right].tolist(),
        only_second_right=disagreement.rows[~right].tolist(),
    )
    return result, disagreement


def _disagreement(one: ScoredRun, other: ScoredRun) -> Disagreement:
    differ = np.flatnonzero(one.correct != other.correct)
    return Disagreement(
        rows=one.rows[differ],
        labels=one.labels[differ],
        first=one.probabilities[differ].argmax(axis=1),
        second=other.probabilities[differ].argmax(axis=1),
    )


def _settings(first: Run, second: Run) -> dict[str, tuple[Setting, Setting]]:
    """Return the values that differ; of an average and a run that trains, what both have."""
    ours, theirs = _facts(first), _facts(second)
    keys = [key for key in ours if key in theirs]
    if first.record.kind == second.record.kind:
        keys += [key for key in theirs if key not in ours]  # such as another library
        keys += [key for key in ours if key not in theirs]
    pairs = {key: (ours.get(key), theirs.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _facts(run: Run) -> dict[str, Setting]:
    """Return what a run was made with: recipe, seed, settings, code, libraries."""
    record = run.record
    facts: dict[str, Setting] = {"recipe": record.recipe_name, "source": record.source}
    if not isinstance(record, TrainingRecord):
        return {**facts, "averages": ", ".join(record.parents)}
    return {
        **facts,
        "averages": None,
        "seed": record.seed,
        **settings_of(record.recipe),
        "code": record.code_fingerprint[:8],
        **record.versions,
    }
