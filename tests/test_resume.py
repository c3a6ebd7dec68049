"""A member that was stopped and continued ends with the numbers of one that never stopped."""

from collections.abc import Callable
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

# With a patience of 1 and a high learning rate, the callbacks act within a few epochs.
CHANGES = (
    "training.epochs=6 training.batch_size=50 training.learning_rate=0.02 "
    "reduce_on_plateau.enabled=true reduce_on_plateau.patience=1 "
    "early_stopping.enabled=true early_stopping.patience=3 "
    "checkpoints.keep_best=2 checkpoints.keep_last=1 training.deterministic=true"
)


class StoppedError(Exception):
    """Stands for the end of the process, right after a change of the record."""


def train(
    settings: Recipe,
    training: Digits,
    validation: Digits,
    root: Path,
    stops: Callable[[Member], bool] = lambda member: False,
    member: Member | None = None,
) -> Alone:
    """Train, and stop when `stops` is true of the record.

    Also checks that no record names a checkpoint that is not there.
    """
    alone = Alone(root)

    def check(member: Member) -> None:
        files = {path.name for path in alone.folder.glob("checkpoints/*.keras")}
        recorded = {checkpoint.file for checkpoint in member.checkpoints}
        assert recorded <= files, "the record names a checkpoint that is not there"
        if stops(member):
            raise StoppedError

    alone.train(settings, training, validation, check, member)
    return alone


def after(epochs: int) -> Callable[[Member], bool]:
    """Stop when the record counts so many epochs and the resume file does not yet."""
    return lambda member: member.epochs == epochs and member.status == "running"


def outcome(alone: Alone) -> tuple[pd.DataFrame, list[list[np.ndarray]]]:
    """Return the history without its seconds, and the weights of every recorded checkpoint."""
    history = pd.read_csv(alone.folder / "history.csv").drop(columns="seconds")
    files = {path.name for path in (alone.folder / "checkpoints").iterdir()}
    assert files == {checkpoint.file for checkpoint in alone.member.checkpoints}
    networks = [
        keras.saving.load_model(path, compile=False) for path in alone.run.checkpoint_paths()
    ]
    return history, [network.get_weights() for network in networks]


def assert_same_outcome(alone: Alone, whole: Alone) -> None:
    assert alone.member.status == whole.member.status == "done"
    assert alone.member.checkpoints == whole.member.checkpoints
    history, weights = outcome(alone)
    expected_history, expected_weights = outcome(whole)
    pd.testing.assert_frame_equal(history, expected_history, check_exact=True)
    for ours, theirs in zip(weights, expected_weights, strict=True):
        for array, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert not (alone.folder / RESUME_FILE).exists()


def test_a_stopped_member_continues_to_the_same_numbers(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_1000_dropout", CHANGES)
    whole = train(settings, training, validation, tmp_path / "whole")
    for epochs in (1, 4):
        with pytest.raises(StoppedError):
            train(settings, training, validation, tmp_path / "resumed", after(epochs))
    resumed = train(settings, training, validation, tmp_path / "resumed")
    assert_same_outcome(resumed, whole)
    history = pd.read_csv(resumed.folder / "history.csv")
    assert history["learning_rate"].nunique() > 1, "ReduceLROnPlateau never acted"
    assert resumed.member.seconds >= history["seconds"].sum() - 0.1


def test_early_stopping_keeps_its_count_and_its_decision(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    # No loss falls by as much as min_delta. So training ends three epochs after the first.
    settings = recipe.load("mlp_1000_dropout", f"{CHANGES} early_stopping.min_delta=9")
    whole = train(settings, training, validation, tmp_path / "whole")
    assert whole.member.epochs == 4
    root = tmp_path / "resumed"
    with pytest.raises(StoppedError):
        train(settings, training, validation, root, after(3))
    with pytest.raises(StoppedError):
        train(settings, training, validation, root, lambda member: member.status == "done")
    assert (Alone(root).folder / RESUME_FILE).exists(), "it is deleted after the record is written"
    resumed = train(settings, training, validation, root)
    assert [member.epochs for member in resumed.recorded] == [4, 4]
    assert_same_outcome(resumed, whole)
    assert resumed.member.seconds > 0


ONE_CYCLE = (
    "schedule.kind=cosine training.optimizer=adamw training.weight_decay=0.1 "
    "training.label_smoothing=0.1 training.precision=mixed_float16 training.deterministic=true"
)


@pytest.mark.parametrize(
    ("name", "changes"),
    # The optimiser of float16 has the most state, as it scales the loss. It is slow on a CPU.
    [("mlp_1000_dropout", ""), ("mlp_50", ONE_CYCLE)],
    ids=["constant", "one_cycle"],
)
def test_a_recipe_without_schedule_callbacks_continues(
    name: str, changes: str, training: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load(name, f"training.epochs=3 {changes}")
    whole = train(settings, training, validation, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(settings, training, validation, tmp_path / "resumed", after(2))
    resumed = train(settings, training, validation, tmp_path / "resumed")
    assert_same_outcome(resumed, whole)
    assert (resumed.member.checkpoints[-1].epoch, resumed.member.epochs) == (3, 3)


def test_the_history_has_the_cosine_rate_of_each_epochs_last_step(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    # The last steps of the epochs are 25, 51, 77 and 103. The rate rises for 52 steps, then falls.
    changes = "training.batch_size=20 training.epochs=4 training.learning_rate=0.01"
    settings = recipe.load(
        "mlp_50",
        f"{changes} schedule.warm_up=0.5 schedule.kind=cosine early_stopping.enabled=false",
    )
    alone = train(settings, training, validation, tmp_path)
    rates = pd.read_csv(alone.folder / "history.csv")["learning_rate"]
    falling = [0.005 * (1 + np.cos(np.pi * step / 52)) for step in (25, 51)]
    np.testing.assert_allclose(rates, [0.01 * 25 / 52, 0.01 * 51 / 52, *falling], rtol=1e-4)


def test_a_damaged_resume_file_is_named_and_may_be_deleted(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=3")
    with pytest.raises(StoppedError):
        train(settings, training, validation, tmp_path, after(2))
    path = Alone(tmp_path).folder / RESUME_FILE
    whole = path.read_bytes()
    flipped = whole[:400] + bytes(255 - byte for byte in whole[400:500]) + whole[500:]
    message = r"members/0/resume\.npz of the run cannot be read .*; delete it, and"
    for content in (whole[:-80], flipped, b"", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(PipelineError, match=message):
            train(settings, training, validation, tmp_path)
    path.unlink()
    member = train(settings, training, validation, tmp_path).member
    assert (member.status, member.epochs) == ("done", 3)


def test_a_member_continues_in_the_precision_that_it_began_with(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    # A run that moves to another machine may find that `auto` means another precision there.
    settings = recipe.load("mlp_50", "training.epochs=3 training.precision=mixed_float16")
    whole = train(settings, training, validation, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(settings, training, validation, tmp_path / "moved", after(2))
    other = recipe.load("mlp_50", "training.epochs=3 training.precision=float32")
    assert_same_outcome(train(other, training, validation, tmp_path / "moved"), whole)


def test_a_new_attempt_does_not_use_the_state_of_an_earlier_one(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=3")
    member = Member(index=0, seed=0, attempt=1)
    whole = train(settings, training, validation, tmp_path / "whole", member=member)
    with pytest.raises(StoppedError):
        train(settings, training, validation, tmp_path / "second", after(2))
    second = train(settings, training, validation, tmp_path / "second", member=member)
    assert_same_outcome(second, whole)
    first = train(settings, training, validation, tmp_path / "first")
    assert first.member.checkpoints != whole.member.checkpoints
