"""Exact resume: a member that was stopped at any epoch ends as if it had never been stopped."""

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
from tests.alone import Alone

# Patience of 1 and a high rate: rate and counters change within a few epochs.
CHANGES = (
    "training.epochs=6 training.batch_size=50 training.learning_rate=0.02 "
    "reduce_on_plateau.enabled=true reduce_on_plateau.patience=1 "
    "early_stopping.enabled=true early_stopping.patience=3 "
    "checkpoints.keep_best=2 checkpoints.keep_last=1 training.deterministic=true"
)


class StoppedError(Exception):
    """Stands for the end of a process, right after a change of the record."""


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
    root: Path,
    stops: Callable[[Member], bool] = lambda member: False,
    member: Member | None = None,
) -> Alone:
    """Train until the record fulfils `stops`. No record may name a file that is not there."""
    alone = Alone(root)

    def check(member: Member) -> None:
        files = {path.name for path in alone.folder.glob("checkpoints/*.keras")}
        assert {one.file for one in member.checkpoints} <= files, "the record names a lost file"
        if stops(member):
            raise StoppedError

    alone.train(settings, rows, validation, check, member)
    return alone


def after(epochs: int) -> Callable[[Member], bool]:
    """Stop when the record has the epoch, and the resume file does not have it yet."""
    return lambda member: member.epochs == epochs and member.status == "running"


def outcome(alone: Alone) -> tuple[pd.DataFrame, list[list[np.ndarray]]]:
    """Return the history without the seconds, and the weights of every recorded checkpoint."""
    history = pd.read_csv(alone.folder / "history.csv").drop(columns="seconds")
    files = {path.name for path in (alone.folder / "checkpoints").iterdir()}
    assert files == {one.file for one in alone.member.checkpoints}
    networks = [
        keras.saving.load_model(path, compile=False) for path in alone.run.checkpoint_paths()
    ]
    return history, [network.get_weights() for network in networks]


def check_same(alone: Alone, whole: Alone) -> None:
    assert alone.member.status == whole.member.status == "done"
    assert alone.member.checkpoints == whole.member.checkpoints
    history, weights = outcome(alone)
    expected_history, expected_weights = outcome(whole)
    pd.testing.assert_frame_equal(history, expected_history, check_exact=True)
    for ours, theirs in zip(weights, expected_weights, strict=True):
        for array, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert not (alone.folder / RESUME_FILE).exists()


def test_a_stopped_member_continues_to_the_very_same_end(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # float16's optimiser has the most state: it scales the loss.
    settings = recipe.load("mlp_1000_dropout", f"{CHANGES} training.precision=mixed_float16")
    whole = train(settings, rows, validation, tmp_path / "whole")
    for epochs in (1, 4):
        with stopped():
            train(settings, rows, validation, tmp_path / "resumed", after(epochs))
    resumed = train(settings, rows, validation, tmp_path / "resumed")
    check_same(resumed, whole)
    history = pd.read_csv(resumed.folder / "history.csv")
    assert history["learning_rate"].nunique() > 1, "ReduceLROnPlateau had nothing to do"
    assert resumed.member.seconds >= history["seconds"].sum() - 0.1


def test_early_stopping_counts_on_and_stays_stopped(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # No fall of the loss is enough: training ends with the third epoch after the first.
    settings = recipe.load("mlp_1000_dropout", f"{CHANGES} early_stopping.min_delta=9")
    whole = train(settings, rows, validation, tmp_path / "whole")
    assert whole.member.epochs == 4
    root = tmp_path / "resumed"
    with stopped():
        train(settings, rows, validation, root, after(3))
    with stopped():
        train(settings, rows, validation, root, lambda member: member.status == "done")
    assert (Alone(root).folder / RESUME_FILE).exists(), "stopped between record and clean-up"
    resumed = train(settings, rows, validation, root)
    assert [member.epochs for member in resumed.recorded] == [4, 4]
    check_same(resumed, whole)
    assert resumed.member.seconds > 0


ONE_CYCLE = (
    "schedule.kind=cosine training.optimizer=adamw training.weight_decay=0.1 "
    "training.label_smoothing=0.1 training.precision=mixed_float16 training.deterministic=true"
)


@pytest.mark.parametrize("changes", ["", ONE_CYCLE], ids=["constant", "one_cycle"])
def test_a_recipe_without_schedule_callbacks_resumes(
    changes: str, rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_1000_dropout", f"training.epochs=3 {changes}")
    whole = train(settings, rows, validation, tmp_path / "whole")
    with stopped():
        train(settings, rows, validation, tmp_path / "resumed", after(2))
    resumed = train(settings, rows, validation, tmp_path / "resumed")
    check_same(resumed, whole)
    assert (resumed.member.checkpoints[-1].epoch, resumed.member.epochs) == (3, 3)


def test_the_rate_of_a_cycle_is_recorded_and_ends_above_zero(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # 26 steps per epoch: half of the 104 go up, and the last one's rate is the 103rd.
    changes = "training.batch_size=20 training.epochs=4 training.learning_rate=0.01"
    settings = recipe.load(
        "mlp_50",
        f"{changes} schedule.warm_up=0.5 schedule.kind=cosine early_stopping.enabled=false",
    )
    alone = train(settings, rows, validation, tmp_path)
    rates = pd.read_csv(alone.folder / "history.csv")["learning_rate"]
    falling = [0.005 * (1 + np.cos(np.pi * step / 52)) for step in (25, 51)]
    np.testing.assert_allclose(rates, [0.01 * 25 / 52, 0.01 * 51 / 52, *falling], rtol=1e-4)


def test_a_damaged_file_is_named_and_may_be_deleted(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=3")
    with stopped():
        train(settings, rows, validation, tmp_path, after(2))
    path = Alone(tmp_path).folder / RESUME_FILE
    whole = path.read_bytes()
    flipped = whole[:400] + bytes(255 - byte for byte in whole[400:500]) + whole[500:]
    message = r"members/0/resume\.npz of the run cannot be read .*; delete it, and"
    for content in (whole[:-80], flipped, b"", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(PipelineError, match=message):
            train(settings, rows, validation, tmp_path)
    path.unlink()
    member = train(settings, rows, validation, tmp_path).member
    assert (member.status, member.epochs) == ("done", 3)


def test_a_member_keeps_the_precision_that_it_began_with(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    # As on a machine where `auto` means another precision.
    settings = recipe.load("mlp_50", "training.epochs=3 training.precision=mixed_float16")
    whole = train(settings, rows, validation, tmp_path / "whole")
    with stopped():
        train(settings, rows, validation, tmp_path / "moved", after(2))
    other = recipe.load("mlp_50", "training.epochs=3 training.precision=float32")
    check_same(train(other, rows, validation, tmp_path / "moved"), whole)


def test_a_new_attempt_does_not_use_the_state_of_the_one_before(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=3")
    second = Member(index=0, seed=0, attempt=1)
    whole = train(settings, rows, validation, tmp_path / "whole", member=second)
    with stopped():
        train(settings, rows, validation, tmp_path / "anew", after(2))
    anew = train(settings, rows, validation, tmp_path / "anew", member=second)
    check_same(anew, whole)
    first = train(settings, rows, validation, tmp_path / "first")
    assert first.member.checkpoints != whole.member.checkpoints
