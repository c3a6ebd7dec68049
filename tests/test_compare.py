"""Ensembles of runs and the comparison table, recomputed from the stored probabilities."""

import io
from collections.abc import Callable
from math import comb
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from pipeline import compare, ensemble
from pipeline.errors import PipelineError
from pipeline.ledger import Upload
from pipeline.runs import Checkpoint, Member, Run, RunStore, Scores
from tests.test_runs import record

LABELS = np.tile(np.arange(10, dtype=np.uint8), 40)

Make = Callable[..., Run]


def probabilities(wrong: list[int]) -> NDArray[np.float32]:
    """Probabilities of 0.9 for the right digit, or for the next one in the rows named."""
    made = np.full((len(LABELS), 10), 0.1 / 9, np.float32)
    digits = LABELS.astype(int)
    digits[wrong] = (digits[wrong] + 1) % 10
    made[np.arange(len(LABELS)), digits] = 0.9
    return made


@pytest.fixture
def make(tmp_path: Path) -> Make:
    store = RunStore(tmp_path / "runs")

    def make_run(name: str, wrong: list[int], checkpoints: int = 1, **changes: object) -> Run:
        run = store.create(record(name, status="done", **changes))
        rows = np.arange(len(LABELS))
        run.save_arrays("validation", rows=rows, labels=LABELS, probabilities=probabilities(wrong))
        run.save_arrays("test", rows=rows[:20], probabilities=probabilities(wrong)[:20])
        saved = Checkpoint(file="a.keras", epoch=1, val_accuracy=0.9, val_loss=0.1)
        run.record.members = [
            Member(index=0, seed=0, epochs=7, seconds=60, checkpoints=[saved] * checkpoints)
        ]
        run.record.timings = {"training_seconds": 90, "ensemble_seconds": 30}
        # Deliberately wrong: the table must not trust it.
        run.record.scores = Scores(
            validation_accuracy=1, validation_rows=1, interval=(0, 1), log_loss=0
        )
        run.save()
        return run

    return make_run


def upload(run: str, public: float | None) -> Upload:
    return Upload(
        run=run,
        sha256="0",
        competition="practice",
        token="t",
        message="m",
        submitted_at="now",
        public_score=public,
    )


def test_the_table_agrees_with_a_recomputation(make: Make) -> None:
    make("worse", wrong=[0, 1, 2, 3, 4, 5, 6, 7, 8])
    make("best", wrong=[0, 10])
    uploads = [upload("worse", 0.9), upload("worse", 0.95), upload("worse", None)]
    result = compare.compare(RunStore(make("third", [0, 11]).folder.parent).all(), uploads)
    (group,) = result.groups
    assert [row.run for row in group.rows][2] == "worse"
    best, _, worse = group.rows
    assert best.p_value is None
    assert worse.validation_accuracy == 391 / 400
    # Wilson's interval by hand (Wilson 1927), z of 95 %.
    z, n, share = 1.959963984540054, 400, 391 / 400
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert (worse.low, worse.high) == pytest.approx((centre - half, centre + half))
    # Exact McNemar by hand: 1 row only this run has right, 8 only the best.
    assert (worse.only_this_right, worse.only_best_right) == (1, 8)
    assert worse.p_value == pytest.approx(2 * (comb(9, 0) + comb(9, 1)) / 2**9)
    expected_loss = -(391 * np.log(0.9) + 9 * np.log(0.1 / 9)) / 400
    assert worse.log_loss == pytest.approx(expected_loss, rel=1e-5)
    assert (worse.public_score, worse.minutes, worse.epochs) == (0.95, 2.0, 7)
    assert best.public_score is None


def test_runs_without_a_fold_are_paired_on_the_rows_that_both_predict(make: Make) -> None:
    whole, part = make("whole", wrong=[0, 1, 2, 300]), make("part", wrong=[1])
    stored = part.load_arrays("validation")
    part.save_arrays("validation", **{name: array[:200] for name, array in stored.items()})
    (group,) = compare.compare(RunStore(part.folder.parent).all(), []).groups
    best, other = group.rows
    assert (best.run, best.validation_rows) == ("part", 200)
    assert (other.run, other.validation_rows) == (whole.id, 400)
    assert (other.only_this_right, other.only_best_right) == (0, 2)
    printed = Console(width=200, file=io.StringIO(), record=True)
    printed.print(compare.table(compare.Group("here", "s" * 64, [best, other])))
    text = printed.export_text()
    assert "split ssssssssssss, 400 validation rows" in text
    assert text.count(" on 200 rows") == 1
    with pytest.raises(PipelineError, match="predict 400 and 200 validation rows, as all members"):
        ensemble.average([whole, part])


def test_equal_accuracies_are_ordered_by_log_loss(make: Make) -> None:
    surer = make("surer", wrong=[0])
    make("other", wrong=[1])
    stored = surer.load_arrays("validation")
    sharper = np.where(stored["probabilities"] > 0.5, 0.99, 0.01 / 9).astype(np.float32)
    sharper[0] = stored["probabilities"][0]
    surer.save_arrays(
        "validation", **{key: stored[key] for key in ("rows", "labels")}, probabilities=sharper
    )
    (group,) = compare.compare(RunStore(surer.folder.parent).all(), []).groups
    assert [row.run for row in group.rows] == ["surer", "other"]


def test_another_split_is_listed_apart_and_unscored_runs_at_the_end(make: Make) -> None:
    make("a", wrong=[0])
    store = RunStore(make("b", wrong=[], split_fingerprint="t" * 64).folder.parent)
    store.create(record("c"))
    result = compare.compare(store.all(), [])
    assert [[row.run for row in group.rows] for group in result.groups] == [["b"], ["a"]]
    assert all(group.rows[0].p_value is None for group in result.groups)
    assert [run.id for run in result.unscored] == ["c"]


def test_what_is_printed(make: Make) -> None:
    store = RunStore(make("a-run", wrong=[0]).folder.parent)
    make("b-run", wrong=[1, 2])
    (group,) = compare.compare(store.all(), [upload("a-run", 0.99123)]).groups
    text = io.StringIO()
    Console(width=160, file=text).print(compare.table(group))
    for words in ("400 validation rows", "0.99750 [0.98598, 0.99956]", "0.99123", "1 (1:2)"):
        assert words in text.getvalue()


def test_the_average_weighs_checkpoints_not_runs(make: Make) -> None:
    one, three = make("one", wrong=[0], checkpoints=1), make("three", wrong=[], checkpoints=3)
    validation, test = ensemble.average([one, three])
    expected = (probabilities([0]) + 3 * probabilities([])) / 4
    np.testing.assert_allclose(validation["probabilities"], expected, rtol=1e-6)
    np.testing.assert_array_equal(validation["labels"], LABELS)
    assert test["probabilities"].shape == (20, 10)


@pytest.mark.parametrize("field", ["data_fingerprint", "split_fingerprint"])
def test_runs_on_other_data_or_split_are_not_averaged(make: Make, field: str) -> None:
    runs = [make("a", wrong=[]), make("b", wrong=[], **{field: "x" * 64})]
    with pytest.raises(PipelineError, match=rf"a and b, whose {field.split('_')[0]} differ"):
        ensemble.average(runs)


def test_runs_with_other_classes_are_not_averaged(make: Make) -> None:
    first, second = make("a", wrong=[]), make("b", wrong=[])
    stored = second.load_arrays("validation")
    stored["probabilities"] = stored["probabilities"][:, :9]
    second.save_arrays("validation", **stored)
    with pytest.raises(PipelineError, match="a and b hold different rows or classes"):
        ensemble.average([first, second])
