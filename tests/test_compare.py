"""Ensembles of runs, and their comparison, computed from the stored probabilities."""

import hashlib
import html
import io
from collections.abc import Callable
from dataclasses import asdict
from math import comb
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.competitions.ledger import Upload
from pipeline.evaluation import compare, compare_table, report
from pipeline.prediction import averaging
from pipeline.runs import Checkpoint, Member, Run, RunStore, Scores
from tests.alone import average_record, training_record

LABELS = np.tile(np.arange(10, dtype=np.uint8), 40)

Make = Callable[..., Run]


def probabilities(wrong: list[int]) -> NDArray[np.float32]:
    """Probabilities of 0.9 for the right digit, or for the next digit in the rows `wrong`."""
    table = np.full((len(LABELS), 10), 0.1 / 9, np.float32)
    digits = LABELS.astype(int)
    digits[wrong] = (digits[wrong] + 1) % 10
    table[np.arange(len(LABELS)), digits] = 0.9
    return table


@pytest.fixture
def make(tmp_path: Path) -> Make:
    store = RunStore(tmp_path / "runs")

    def make_run(name: str, wrong: list[int], checkpoints: int = 1, **changes: object) -> Run:
        make_record = average_record if "parents" in changes else training_record
        run = store.create(make_record(name, status="done", **changes))
        rows = np.arange(len(LABELS))
        run.save_arrays("validation", rows=rows, labels=LABELS, probabilities=probabilities(wrong))
        run.save_arrays("test", rows=rows[:20], probabilities=probabilities(wrong)[:20])
        saved = Checkpoint(file="a.keras", epoch=1, val_accuracy=0.9, val_loss=0.1)
        run.record.members = [
            Member(index=0, seed=0, epochs=7, seconds=60, checkpoints=[saved] * checkpoints)
        ]
        run.record.timings = {"training_seconds": 90, "ensemble_seconds": 30}
        run.record.created_at = "2026-01-02T03:04:05+00:00"  # so that ids decide the order
        # Deliberately wrong: the comparison must not use it.
        run.record.scores = Scores(
            validation_accuracy=1, validation_rows=1, interval=(0, 1), log_loss=0
        )
        run.save()
        return run

    return make_run


def upload(wrong: list[int], public: float | None) -> Upload:
    """An upload of the CSV of a run that predicts the rows `wrong` wrongly."""
    labels = probabilities(wrong)[:20].argmax(axis=1)
    return Upload(
        run="any",
        sha256=hashlib.sha256(submission.content(labels)).hexdigest(),
        competition="practice",
        token="t",
        message="m",
        submitted_at="now",
        public_score=public,
    )


def compare_all(folder: Path, uploads: list[Upload]) -> compare.Comparison:
    """Compare all runs of a folder."""
    store = RunStore(folder)
    return compare.compare(store.all(), uploads, store.unreadable)


def test_the_table_agrees_with_a_recomputation(make: Make) -> None:
    make("worse", wrong=[0, 1, 2, 3, 4, 5, 6, 7, 8])
    make("best", wrong=[0, 10])
    uploads = [upload([*range(9)], score) for score in (0.9, 0.95, None)]
    result = compare_all(make("third", [0, 11]).folder.parent, uploads)
    (group,) = result.groups
    assert [ranked.run for ranked in group.runs][2] == "worse"
    best, _, worse = group.runs
    assert best.p_value is None
    assert worse.validation_accuracy == 391 / 400
    # Wilson's interval by hand (Wilson 1927), with the z of 95 %.
    z, n, share = 1.959963984540054, 400, 391 / 400
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert (worse.low, worse.high) == pytest.approx((centre - half, centre + half))
    # Exact McNemar test by hand: only this run is right on 1 row, only the best on 8.
    assert (worse.only_this_right, worse.only_best_right) == (1, 8)
    assert worse.p_value == pytest.approx(2 * (comb(9, 0) + comb(9, 1)) / 2**9)
    expected_loss = -(391 * np.log(0.9) + 9 * np.log(0.1 / 9)) / 400
    assert worse.log_loss == pytest.approx(expected_loss, rel=1e-5)
    assert (worse.public_score, worse.minutes, worse.epochs) == (0.95, 2.0, 7)
    assert best.public_score is None


def test_a_run_that_lacks_a_fold_is_paired_on_the_common_rows(make: Make) -> None:
    whole, part = make("whole", wrong=[0, 1, 2, 300]), make("part", wrong=[1])
    keep(part, 0, 200)
    (group,) = compare_all(part.folder.parent, []).groups
    best, other = group.runs
    assert (best.run, best.validation_rows) == ("part", 200)
    assert (other.run, other.validation_rows) == (whole.id, 400)
    assert (other.only_this_right, other.only_best_right) == (0, 2)
    printed = Console(width=200, file=io.StringIO(), record=True)
    printed.print(compare_table.table(compare.Group("here", "s" * 64, [best, other])))
    text = printed.export_text()
    assert "split ssssssssssss, 400 validation rows" in text
    assert text.count(" on 200 rows") == 1


def test_equal_accuracies_are_ordered_by_log_loss(make: Make) -> None:
    surer = make("surer", wrong=[0])
    make("other", wrong=[1])
    stored = surer.load_arrays("validation")
    sharper = np.where(stored["probabilities"] > 0.5, 0.99, 0.01 / 9).astype(np.float32)
    sharper[0] = stored["probabilities"][0]
    surer.save_arrays(
        "validation", **{key: stored[key] for key in ("rows", "labels")}, probabilities=sharper
    )
    surer.save()
    (group,) = compare_all(surer.folder.parent, []).groups
    assert [ranked.run for ranked in group.runs] == ["surer", "other"]


def test_each_split_has_its_own_group_and_unscored_runs_are_listed_apart(make: Make) -> None:
    make("a", wrong=[0])
    store = RunStore(make("b", wrong=[], split_fingerprint="t" * 64).folder.parent)
    store.create(training_record("c"))
    result = compare_all(store.folder, [])
    assert [[ranked.run for ranked in group.runs] for group in result.groups] == [["b"], ["a"]]
    assert all(group.runs[0].p_value is None for group in result.groups)
    assert [run.id for run in result.unscored] == ["c"]


def test_the_best_runs_of_two_splits_are_paired_on_their_common_rows(make: Make) -> None:
    folds = make("folds", wrong=[0, 1, 2, 3, 300, 301])
    part = make("part", wrong=[3, 4], split_fingerprint="t" * 64)
    keep(part, 0, 200)
    make("worse", wrong=list(range(20)))
    make("other-data", wrong=[], split_fingerprint="u" * 64, data_fingerprint="x" * 64)
    both = make("both", wrong=[], split_fingerprint="t" * 64, parents=["folds", "part"])
    keep(both, 0, 200)
    result = compare_all(folds.folder.parent, [])
    (pair,) = result.pairs
    assert {pair.first, pair.second} == {"folds", "part"}
    by_run = {
        pair.first: (pair.first_accuracy, pair.only_first_right),
        pair.second: (pair.second_accuracy, pair.only_second_right),
    }
    assert (pair.rows, by_run) == (200, {"folds": (0.98, 1), "part": (0.99, 3)})
    # Exact McNemar test by hand: three rows against one.
    assert pair.p_value == pytest.approx(2 * (comb(4, 0) + comb(4, 1)) / 2**4)
    _, line, *_ = compare_table.notes(result)
    assert line.startswith(f"  {pair.first} 0.9")
    assert "on 200 common validation rows: p 0.625 (" in line
    printed = result.as_json()
    assert printed["pairs"] == [asdict(pair)]
    assert printed["groups"] == [
        {"source": group.source, "split": group.split, "rows": [*map(asdict, group.runs)]}
        for group in result.groups
    ]


def test_a_public_score_belongs_to_the_csv_not_to_the_runs_name(make: Make) -> None:
    runs = make("first", wrong=[0]).folder.parent
    make("same-csv", wrong=[0])
    make("trained-since", wrong=[1])
    earlier = upload([2], 0.97).model_copy(update={"run": "trained-since"})
    (group,) = compare_all(runs, [upload([0], 0.98), earlier]).groups
    public_scores = {ranked.run: ranked.public_score for ranked in group.runs}
    assert public_scores == {"first": 0.98, "same-csv": 0.98, "trained-since": None}


def test_the_printed_table_has_interval_score_and_p_value(make: Make) -> None:
    store = RunStore(make("a-run", wrong=[0]).folder.parent)
    make("b-run", wrong=[1, 2])
    (group,) = compare_all(store.folder, [upload([0], 0.99123)]).groups
    text = io.StringIO()
    Console(width=160, file=text).print(compare_table.table(group))
    for words in ("400 validation rows", "0.99750 [0.98598, 0.99956]", "0.99123", "1 (1:2)"):
        assert words in text.getvalue()


def test_the_accuracy_of_averaged_folds_and_a_hold_out_is_marked_as_too_low(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = make("folds", wrong=[0], recipe={"name": "quick", "members": {"folds": 5}})
    both = make("both", wrong=[0, 1], parents=["folds", "part"], one_fold_per_row=True)
    for run in (folds, both):
        run.record.members.append(run.record.members[0].model_copy(update={"index": 1, "fold": 1}))
        run.save()
    result = compare_all(folds.folder.parent, [])
    (group,) = result.groups
    assert {ranked.run: ranked.one_fold_a_row for ranked in group.runs} == {
        "folds": False,
        "both": True,
    }
    compare_table.show(result)
    printed = capsys.readouterr().out
    assert printed.count("] *") == 1
    assert "*: this validation accuracy is too low, so do not rely on p. Of the members" in printed


def test_the_average_weights_checkpoints_equally_not_runs(make: Make) -> None:
    one, three = make("one", wrong=[0], checkpoints=1), make("three", wrong=[], checkpoints=3)
    average = averaging.average([one, three])
    expected = (probabilities([0]) + 3 * probabilities([])) / 4
    np.testing.assert_allclose(average.validation["probabilities"], expected, rtol=1e-6)
    np.testing.assert_array_equal(average.validation["labels"], LABELS)
    assert average.test["probabilities"].shape == (20, 10)


def keep(run: Run, start: int, end: int) -> None:
    """Keep only these validation rows of a run, as a hold-out or a failed fold does."""
    stored = run.load_arrays("validation")
    run.save_arrays("validation", **{name: array[start:end] for name, array in stored.items()})
    run.save()


def test_folds_and_a_hold_out_are_averaged_on_the_rows_of_the_hold_out(make: Make) -> None:
    folds = make("folds", wrong=[0, 150, 350], split_fingerprint="t" * 64)
    held_out = make("held-out", wrong=[200])
    keep(held_out, 100, 300)
    average = averaging.average([folds, held_out])
    assert average.base.id == "held-out"
    np.testing.assert_array_equal(average.validation["rows"], np.arange(100, 300))
    np.testing.assert_array_equal(average.validation["labels"], LABELS[100:300])
    expected = ((probabilities([150]) + probabilities([200])) / 2)[100:300]
    np.testing.assert_allclose(average.validation["probabilities"], expected, rtol=1e-6)


def test_two_hold_outs_are_not_averaged(make: Make) -> None:
    first, second = make("one", wrong=[]), make("other", wrong=[], split_fingerprint="t" * 64)
    keep(first, 0, 200)
    keep(second, 150, 350)
    with pytest.raises(PipelineError, match="one, other, which have 50 validation rows in common"):
        averaging.average([first, second])


def test_runs_on_different_data_are_not_averaged(make: Make) -> None:
    runs = [make("a", wrong=[]), make("b", wrong=[], data_fingerprint="x" * 64)]
    with pytest.raises(PipelineError, match="a and b, whose data differ"):
        averaging.average(runs)


def test_runs_with_different_labels_are_not_averaged(make: Make) -> None:
    first, second = make("a", wrong=[]), make("b", wrong=[])
    stored = second.load_arrays("validation")
    second.save_arrays("validation", **{**stored, "labels": stored["labels"][::-1]})
    with pytest.raises(PipelineError, match="a and b hold different rows or labels"):
        averaging.average([first, second])


def test_the_report_shows_long_names_in_full_and_escapes_html(make: Make, tmp_path: Path) -> None:
    name = " + ".join(["a<b>recipe"] * 12)
    run = make("a-run", wrong=[0], recipe_name=name)
    page = tmp_path / "report.html"
    (run.folder / "mistakes.png").write_bytes(b"no picture")
    report.write(page, compare_all(run.folder.parent, []), [run], tmp_path)
    assert f"<td>{html.escape(name)}</td>" in page.read_text()
    assert "mistakes.png is damaged; make submission RUN=a-run draws it again" in page.read_text()
