"""Which recipe is better: computed from the stored probabilities of runs that nobody trained."""

from collections.abc import Sequence
from dataclasses import asdict
from math import comb
from pathlib import Path

import numpy as np
import pytest

from pipeline.competitions.ledger import Upload
from pipeline.evaluation import comparison
from pipeline.evaluation.comparison import explanations, table, verdict
from pipeline.evaluation.comparison.model import Comparison, Group
from pipeline.runs import RunStore
from tests.alone import training_record
from tests.scored_runs import ScoredRuns, keep, printed, upload


@pytest.fixture
def make(tmp_path: Path) -> ScoredRuns:
    return ScoredRuns(tmp_path / "runs")


def compare_all(folder: Path, uploads: Sequence[Upload] = ()) -> Comparison:
    """Compare all runs of a folder."""
    store = RunStore(folder)
    return comparison.compare(store.all(), uploads, store.unreadable)


def names(group: Group) -> list[str]:
    """The runs of a group, best first."""
    return [run.run for run in group.runs]


def text(result: Comparison) -> str:
    """What a comparison prints on a terminal of 80 columns."""
    return printed(table.rendered(result, 80, show_all=False))


def test_the_table_agrees_with_a_recomputation(make: ScoredRuns) -> None:
    make("worse", wrong=[0, 1, 2, 3, 4, 5, 6, 7, 8])
    make("best", wrong=[0, 10])
    uploads = [upload([*range(9)], score) for score in (0.9, 0.95, None)]
    result = compare_all(make("third", [0, 11]).folder.parent, uploads)
    (group,) = result.groups
    best, _, worse = group.recipes
    assert best.against_best is None
    assert (worse.best_run, worse.seeds, worse.deviation) == ("worse", [0], None)
    scores, test = worse.scores, worse.against_best
    assert (scores.accuracy, scores.rows) == (391 / 400, 400)
    # Wilson's interval by hand (Wilson 1927), with the z of 95 %.
    z, n, share = 1.959963984540054, 400, 391 / 400
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert scores.accuracy_interval == pytest.approx((centre - half, centre + half))
    # Exact McNemar test by hand: only this run is right on 1 row, only the best on 8.
    assert test
    assert (test.only_this_right, test.only_best_right, test.method) == (1, 8, "mcnemar")
    assert test.p_value == pytest.approx(2 * (comb(9, 0) + comb(9, 1)) / 2**9)
    assert test.p_value <= test.p_holm <= 3 * test.p_value
    assert test.difference == pytest.approx(-7 / 400)
    assert test.interval[0] < test.difference < test.interval[1] < 0
    expected_loss = -(391 * np.log(0.9) + 9 * np.log(0.1 / 9)) / 400
    assert scores.log_loss == pytest.approx(expected_loss, rel=1e-5)
    # All probabilities are 0.9, and 0.9775 of the rows are right.
    assert scores.calibration_error == pytest.approx(391 / 400 - 0.9, rel=1e-5)
    run = next(run for run in group.runs if run.run == "worse")
    assert (run.public_score, run.minutes, run.epochs) == (0.95, 2.0, 7)
    assert run.scores == scores
    assert group.runs[0].public_score is None


def test_seeds_of_a_recipe_are_one_row(make: ScoredRuns) -> None:
    make("a-s1", [0, 1, 2, 3], batch_size=64, seed=1)
    make("a-s0-old", [*range(50)], batch_size=64, seed=0)
    make("a-s0", [0, 1], batch_size=64, seed=0)
    make("renamed", [0, 1, 2, 3, 4, 5], batch_size=64, seed=5, recipe_name="mine")
    make("b", [*range(9)], batch_size=128)
    (group,) = compare_all(make.store.folder).groups
    first, second = group.recipes
    assert first.runs == ["a-s0", "a-s0-old", "a-s1", "renamed"], "by seed, newest first"
    assert (first.best_run, first.seeds) == ("a-s0", [0, 1, 5])
    accuracies = [398 / 400, 396 / 400, 394 / 400]
    assert first.scores.accuracy == pytest.approx(np.mean(accuracies)), "the newest of a seed"
    assert first.deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert first.settings == {"training.batch_size": 64}
    assert second.settings == {"training.batch_size": 128}
    assert second.against_best
    assert second.against_best.method == "crossed"
    assert second.against_best.only_best_right is None
    assert second.against_best.difference == pytest.approx(391 / 400 - np.mean(accuracies))
    assert [(run.run, run.recipe_row) for run in group.runs] == [
        ("a-s0", 0),
        ("a-s1", 0),
        ("renamed", 0),
        ("b", 1),
        ("a-s0-old", 0),
    ]


def test_code_libraries_rows_and_averages_are_rows_of_their_own(make: ScoredRuns) -> None:
    make("base", [0], batch_size=64, versions={"keras": "3.1", "numpy": "2.0"})
    make("code", [1, 2], batch_size=64, code_fingerprint="e" * 64)
    make("libraries", [1, 2, 3], batch_size=64, versions={"keras": "3.2", "numpy": "2.0"})
    keep(make("part", [1, 2, 3, 4, 5], batch_size=64), 0, 200)
    make("both", [1, 2, 3, 4], parents=["code", "base"], recipe_name="quick + quick")
    (group,) = compare_all(make.store.folder).groups
    settings = {row.best_run: row.settings for row in group.recipes}
    assert settings.pop("both") == {"average": "code + base"}
    assert {name: found["code"] for name, found in settings.items()} == {
        "base": "cccccccc",
        "code": "eeeeeeee",
        "libraries": "cccccccc",
        "part": "cccccccc",
    }
    assert settings["libraries"]["versions"] == "keras 3.2, numpy 2.0"
    assert settings["part"]["versions"] == "keras unknown, numpy unknown"
    assert {key for found in settings.values() for key in found} == {"code", "versions"}


def test_what_changes_no_number_makes_no_other_recipe(make: ScoredRuns) -> None:
    for seed, members in enumerate(({"retries": 3}, {"retries": 1, "required": 1})):
        recipe = {"name": "quick", "seed": seed, "members": members}
        make(f"run-{seed}", [seed], recipe=recipe, seed=seed)
    (group,) = compare_all(make.store.folder).groups
    assert [row.seeds for row in group.recipes] == [[0, 1]]


def test_a_run_that_lacks_a_fold_is_compared_on_the_common_rows(make: ScoredRuns) -> None:
    make("whole", wrong=[0, 1, 2, 300])
    keep(make("part", wrong=[1]), 0, 200)
    result = compare_all(make.store.folder)
    (group,) = result.groups
    best, other = group.recipes
    assert (best.best_run, best.scores.rows) == ("part", 200)
    assert (other.best_run, other.scores.rows) == ("whole", 400)
    test = other.against_best
    assert test
    assert (test.only_this_right, test.only_best_right) == (0, 2)
    assert test.difference == pytest.approx(-2 / 200)
    shown = text(result)
    assert "split ssssssssssss, 400 validation rows" in shown
    assert shown.count("on 200 rows") == 1


def test_equal_accuracies_are_ordered_by_log_loss(make: ScoredRuns) -> None:
    surer = make("surer", wrong=[0])
    make("other", wrong=[1])
    stored = surer.load_arrays("validation")
    sharper = np.where(stored["probabilities"] > 0.5, 0.99, 0.01 / 9).astype(np.float32)
    sharper[0] = stored["probabilities"][0]
    surer.save_arrays(
        "validation", **{key: stored[key] for key in ("rows", "labels")}, probabilities=sharper
    )
    surer.save()
    (group,) = compare_all(surer.folder.parent).groups
    assert names(group) == ["surer", "other"]
    assert [row.best_run for row in group.recipes] == ["surer", "other"]


def test_each_split_has_its_own_group_and_unscored_runs_are_listed_apart(make: ScoredRuns) -> None:
    make("a", wrong=[0])
    make("b", wrong=[], split_fingerprint="t" * 64)
    make.store.create(training_record("c"))
    result = compare_all(make.store.folder)
    assert [names(group) for group in result.groups] == [["b"], ["a"]]
    assert all(group.recipes[0].against_best is None for group in result.groups)
    assert [run.id for run in result.unscored] == ["c"]
    assert "without scores: c (running)" in text(result)


def test_the_best_runs_of_two_splits_are_paired_on_their_common_rows(make: ScoredRuns) -> None:
    folds = make("folds", wrong=[0, 1, 2, 3, 300, 301])
    part = make("part", wrong=[3, 4], split_fingerprint="t" * 64)
    keep(part, 0, 200)
    make("worse", wrong=list(range(20)))
    make("other-data", wrong=[], split_fingerprint="u" * 64, data_fingerprint="x" * 64)
    both = make("both", wrong=[], split_fingerprint="t" * 64, parents=["folds", "part"])
    keep(both, 0, 200)
    result = compare_all(folds.folder.parent)
    (pair,) = result.pairs
    assert {pair.first, pair.second} == {"folds", "part"}
    by_run = {
        pair.first: (pair.first_accuracy, pair.only_first_right),
        pair.second: (pair.second_accuracy, pair.only_second_right),
    }
    assert (pair.rows, by_run) == (200, {"folds": (0.98, 1), "part": (0.99, 3)})
    # Exact McNemar test by hand: three rows against one.
    assert pair.p_value == pytest.approx(2 * (comb(4, 0) + comb(4, 1)) / 2**4)
    (line,) = [one for one in explanations.lines(result) if one.startswith(f"  {pair.first} 0.9")]
    assert "on their 200 common rows: p=0.625 (only the first is right in " in line
    printed = result.as_json()
    assert printed["pairs"] == [asdict(pair)]
    assert printed["groups"] == [asdict(group) for group in result.groups]


def test_a_public_score_belongs_to_the_csv_not_to_the_runs_name(make: ScoredRuns) -> None:
    make("first", wrong=[0])
    make("same-csv", wrong=[0])
    make("trained-since", wrong=[1])
    earlier = upload([2], 0.97, run="trained-since")
    result = compare_all(make.store.folder, [upload([0], 0.98), earlier])
    (group,) = result.groups
    public_scores = {run.run: run.public_score for run in group.runs}
    assert public_scores == {"first": 0.98, "same-csv": 0.98, "trained-since": None}
    (found,) = result.public_scores
    assert found.points in ([("first", 399 / 400, 0.98)], [("same-csv", 399 / 400, 0.98)])
    assert found.rank_correlation is None


def test_five_submissions_have_a_rank_correlation(make: ScoredRuns) -> None:
    uploads = []
    for number in range(5):
        make(f"run-{number}", wrong=[*range(number)])
        uploads.append(upload([*range(number)], 0.9 - number / 100))
    result = compare_all(make.store.folder, uploads)
    assert [one.rank_correlation for one in result.public_scores] == [pytest.approx(1)]
    assert "validation accuracy and public score +1.00" in " ".join(text(result).split())


def test_submissions_after_a_reveal_are_marked(make: ScoredRuns) -> None:
    make("early", wrong=[0])
    make("late", wrong=[1])
    uploads = [
        upload([0], 0.98, submitted_at="2026-01-01T00:00:00+00:00", revealed_at="2026-01-02T00:00"),
        upload([1], 0.97, submitted_at="2026-01-03T00:00:00+00:00"),
    ]
    result = compare_all(make.store.folder, uploads)
    (group,) = result.groups
    assert {run.run: run.after_reveal for run in group.runs} == {"early": False, "late": True}
    shown = text(result)
    assert "0.97000 r" in shown
    assert "0.98000 r" not in shown
    assert "r: submitted after" in shown


def test_the_accuracy_of_averaged_folds_and_a_hold_out_is_marked_as_too_low(
    make: ScoredRuns,
) -> None:
    folds = make("folds", wrong=[0], recipe={"name": "quick", "members": {"folds": 5}})
    both = make("both", wrong=[0, 1], parents=["folds", "part"], one_fold_per_row=True)
    for run in (folds, both):
        run.record.members.append(run.record.members[0].model_copy(update={"index": 1, "fold": 1}))
        run.save()
    result = compare_all(folds.folder.parent)
    (group,) = result.groups
    marked = {row.best_run: row.scores.one_fold_a_row for row in group.recipes}
    assert marked == {"folds": False, "both": True}
    assert all(row.scores.out_of_fold for row in group.recipes)
    shown = text(result)
    assert shown.count("0.99500 *") == 1
    assert "*: too low, so do not rely on p" in shown


def test_a_single_seed_is_not_said_to_be_worse_beyond_chance(make: ScoredRuns) -> None:
    for seed in range(3):
        make(f"good-{seed}", wrong=[seed], batch_size=1, seed=seed)
        make(f"bad-{seed}", wrong=[*range(seed, 40 + seed)], batch_size=2, seed=seed)
    make("alone", wrong=[*range(60)], batch_size=3)
    (group,) = compare_all(make.store.folder).groups
    best, worse, alone = group.recipes
    assert (best.seeds, worse.seeds, alone.seeds) == ([0, 1, 2], [0, 1, 2], [0])
    printed = verdict.lines(group)
    assert "Worse, beyond chance: quick (row 2)." in printed
    assert "Worse, as far as a single seed or average can tell: quick (row 3)." in printed


def test_a_filter_does_not_hide_that_the_rows_of_an_averages_parents_chose(
    make: ScoredRuns,
) -> None:
    parents = [make(name, wrong=[0]) for name in ("one", "other")]
    average = make("both", wrong=[], parents=["one", "other"])
    result = comparison.compare([average], [], {}, parents)
    assert result.groups[0].recipes[0].scores.rows_also_chose
    assert explanations.OPTIMISM in explanations.lines(result)
