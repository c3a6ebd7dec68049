"""Exact resume: a member that was stopped at any epoch ends as if it never had been."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.data.digits import Digits
from pipeline.recipe import Recipe
from pipeline.runs import RESUME_FILE, Member
from pipeline.training.hardware import prepare
from pipeline.training.loop import train_member
from tests.watching import Watching

# Patience of 1 and a high rate: rate and counters change within a few epochs.
CHANGES = (
    "training.epochs=6 training.batch_size=50 training.learning_rate=0.02 "
    "reduce_on_plateau.enabled=true reduce_on_plateau.patience=1 "
    "early_stopping.enabled=true early_stopping.patience=3 "
    "checkpoints.keep_best=2 checkpoints.keep_last=1 training.deterministic=true"
)


class StoppedError(Exception):
    """The end of a process, as far as a test in one process can have it."""


@contextmanager
def stopped() -> Iterator[None]:
    with pytest.raises(StoppedError):
        yield


@pytest.fixture(scope="module")
def rows(labelled: Digits) -> Digits:
    return Digits(labelled.images[:520], labelled.labels[:520])


@pytest.fixture(scope="module")
def validation(labelled: Digits) -> Digits:
    return Digits(labelled.images[520:], labelled.labels[520:])


def train(
    settings: Recipe,
    rows: Digits,
    validation: Digits,
    folder: Path,
    stops: Callable[[Member], bool] = lambda member: False,
    of: Member | None = None,
) -> list[Member]:
    """Train until the record says what `stops` wants; return all that was recorded."""

    def check(member: Member) -> None:
        files = {path.name for path in (folder / "checkpoints").glob("*.keras")}
        assert {one.file for one in member.checkpoints} <= files, "the record names a lost file"
        if stops(member):
            raise StoppedError

    hardware = prepare(settings.training)
    watching = Watching(check)
    train_member(settings, rows, validation, folder, hardware, watching, of)
    return watching.members


def after(epochs: int) -> Callable[[Member], bool]:
    return lambda member: member.epochs == epochs and member.status == "running"


def outcome(folder: Path, member: Member) -> tuple[pd.DataFrame, list[list[np.ndarray]]]:
    """The history but for the seconds, and the weights of every checkpoint that is recorded."""
    history = pd.read_csv(folder / "history.csv").drop(columns="seconds")
    weights = []
    files = {path.name for path in (folder / "checkpoints").iterdir()}
    assert files == {one.file for one in member.checkpoints}
    for one in member.checkpoints:
        network = keras.saving.load_model(folder / "checkpoints" / one.file, compile=False)
        weights.append(network.get_weights())
    return history, weights


def check_same(folder: Path, member: Member, whole: Path, expected: Member) -> None:
    assert member.status == expected.status == "done"
    assert member.checkpoints == expected.checkpoints
    history, weights = outcome(whole, expected)
    history_again, weights_again = outcome(folder, member)
    pd.testing.assert_frame_equal(history_again, history, check_exact=True)
    for ours, theirs in zip(weights_again, weights, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not (folder / RESUME_FILE).exists()


def test_a_stopped_member_goes_on_to_the_very_same_end(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # float16's optimiser has the most state: it scales the loss.
    settings = recipe.load("mlp_1000_dropout", f"{CHANGES} training.precision=mixed_float16")
    *_, expected = train(settings, rows, validation, tmp_path / "whole")
    folder = tmp_path / "resumed"
    for epochs in (1, 4):
        with stopped():
            train(settings, rows, validation, folder, after(epochs))
    *_, found = train(settings, rows, validation, folder)
    check_same(folder, found, tmp_path / "whole", expected)
    history = pd.read_csv(folder / "history.csv")
    assert history["learning_rate"].nunique() > 1, "ReduceLROnPlateau had nothing to do"
    assert found.seconds >= history["seconds"].sum() - 0.1


def test_early_stopping_counts_on_and_stays_stopped(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # No fall of the loss is enough: training ends with the third epoch after the first.
    settings = recipe.load("mlp_1000_dropout", f"{CHANGES} early_stopping.min_delta=9")
    *_, expected = train(settings, rows, validation, tmp_path / "whole")
    assert expected.epochs == 4
    folder = tmp_path / "resumed"
    with stopped():
        train(settings, rows, validation, folder, after(3))
    with stopped():
        train(settings, rows, validation, folder, lambda member: member.status == "done")
    assert (folder / RESUME_FILE).exists(), "stopped between the record and the clearing up"
    told = train(settings, rows, validation, folder)
    assert [member.epochs for member in told] == [4, 4]
    check_same(folder, told[-1], tmp_path / "whole", expected)
    assert told[-1].seconds > 0


ONE_CYCLE = (
    "schedule.kind=cosine training.optimizer=adamw training.weight_decay=0.1 "
    "training.label_smoothing=0.1 training.precision=mixed_float16 training.deterministic=true"
)


@pytest.mark.parametrize("changes", ["", ONE_CYCLE], ids=["constant", "one_cycle"])
def test_a_recipe_without_callbacks_of_its_own_resumes(
    changes: str, rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_1000_dropout", f"training.epochs=3 {changes}")
    *_, expected = train(settings, rows, validation, tmp_path / "whole")
    with stopped():
        train(settings, rows, validation, tmp_path / "resumed", after(2))
    *_, found = train(settings, rows, validation, tmp_path / "resumed")
    check_same(tmp_path / "resumed", found, tmp_path / "whole", expected)
    assert (found.checkpoints[-1].epoch, found.epochs) == (3, 3)


def test_the_rate_of_a_cycle_is_recorded_and_ends_above_zero(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # 26 steps an epoch: half of the 104 go up, and the last one's rate is the 103rd.
    changes = "training.batch_size=20 training.epochs=4 training.learning_rate=0.01"
    settings = recipe.load(
        "mlp_50",
        f"{changes} schedule.warm_up=0.5 schedule.kind=cosine early_stopping.enabled=false",
    )
    train(settings, rows, validation, tmp_path)
    rates = pd.read_csv(tmp_path / "history.csv")["learning_rate"]
    falling = [0.005 * (1 + np.cos(np.pi * step / 52)) for step in (25, 51)]
    np.testing.assert_allclose(rates, [0.01 * 25 / 52, 0.01 * 51 / 52, *falling], rtol=1e-4)


def test_a_damaged_file_is_named_and_may_be_deleted(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=3")
    with stopped():
        train(settings, rows, validation, tmp_path, after(2))
    path = tmp_path / RESUME_FILE
    whole = path.read_bytes()
    flipped = whole[:400] + bytes(255 - byte for byte in whole[400:500]) + whole[500:]
    told = r"members/0/resume\.npz of the run cannot be read .*; delete it, and"
    for content in (whole[:-80], flipped, b"", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(PipelineError, match=told):
            train(settings, rows, validation, tmp_path)
    path.unlink()
    *_, found = train(settings, rows, validation, tmp_path)
    assert (found.status, found.epochs) == ("done", 3)


def test_a_member_keeps_the_precision_that_it_began_with(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # As on a machine where `auto` means another one.
    settings = recipe.load("mlp_50", "training.epochs=3 training.precision=mixed_float16")
    *_, expected = train(settings, rows, validation, tmp_path / "whole")
    with stopped():
        train(settings, rows, validation, tmp_path / "moved", after(2))
    other = recipe.load("mlp_50", "training.epochs=3 training.precision=float32")
    *_, found = train(other, rows, validation, tmp_path / "moved")
    check_same(tmp_path / "moved", found, tmp_path / "whole", expected)


def test_a_member_that_is_to_begin_anew_begins_anew(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=3")
    second = Member(index=0, seed=0, draw=1)
    *_, expected = train(settings, rows, validation, tmp_path / "whole", of=second)
    with stopped():
        train(settings, rows, validation, tmp_path / "redrawn", after(2))
    *_, found = train(settings, rows, validation, tmp_path / "redrawn", of=second)
    check_same(tmp_path / "redrawn", found, tmp_path / "whole", expected)
    *_, first = train(settings, rows, validation, tmp_path / "first")
    assert first.checkpoints != expected.checkpoints
