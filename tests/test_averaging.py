"""Averages of runs, computed from the stored probabilities of runs that nobody trained."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.common.errors import PipelineError
from pipeline.prediction import averaging
from tests.scored_runs import LABELS, ScoredRuns, keep, probabilities


@pytest.fixture
def make(tmp_path: Path) -> ScoredRuns:
    return ScoredRuns(tmp_path / "runs")


def test_the_average_weights_checkpoints_equally_not_runs(make: ScoredRuns) -> None:
    one, three = make("one", wrong=[0], checkpoints=1), make("three", wrong=[], checkpoints=3)
    average = averaging.average([one, three])
    expected = (probabilities([0]) + 3 * probabilities([])) / 4
    np.testing.assert_allclose(average.validation["probabilities"], expected, rtol=1e-6)
    np.testing.assert_array_equal(average.validation["labels"], LABELS)
    assert average.test["probabilities"].shape == (20, 10)


def test_folds_and_a_hold_out_are_averaged_on_the_rows_of_the_hold_out(make: ScoredRuns) -> None:
    folds = make("folds", wrong=[0, 150, 350], split_fingerprint="t" * 64)
    held_out = make("held-out", wrong=[200])
    keep(held_out, 100, 300)
    average = averaging.average([folds, held_out])
    assert average.base.id == "held-out"
    np.testing.assert_array_equal(average.validation["rows"], np.arange(100, 300))
    np.testing.assert_array_equal(average.validation["labels"], LABELS[100:300])
    expected = ((probabilities([150]) + probabilities([200])) / 2)[100:300]
    np.testing.assert_allclose(average.validation["probabilities"], expected, rtol=1e-6)


def test_two_hold_outs_are_not_averaged(make: ScoredRuns) -> None:
    first, second = make("one", wrong=[]), make("other", wrong=[], split_fingerprint="t" * 64)
    keep(first, 0, 200)
    keep(second, 150, 350)
    with pytest.raises(PipelineError, match="one, other, which have 50 validation rows in common"):
        averaging.average([first, second])


def test_runs_on_different_data_are_not_averaged(make: ScoredRuns) -> None:
    runs = [make("a", wrong=[]), make("b", wrong=[], data_fingerprint="x" * 64)]
    with pytest.raises(PipelineError, match="a and b, whose data differ"):
        averaging.average(runs)


def test_runs_with_different_labels_are_not_averaged(make: ScoredRuns) -> None:
    first, second = make("a", wrong=[]), make("b", wrong=[])
    stored = second.load_arrays("validation")
    second.save_arrays("validation", **{**stored, "labels": stored["labels"][::-1]})
    with pytest.raises(PipelineError, match="a and b hold different rows or labels"):
        averaging.average([first, second])
