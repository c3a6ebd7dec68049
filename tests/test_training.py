"""Training on real digits: order and warps, checkpoints, history, failures."""

import os
import signal
import threading
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipeline import networks, recipe
from pipeline.common.errors import PipelineError
from pipeline.data.digits import Digits
from pipeline.prediction.ensemble import predict
from pipeline.recipe import Recipe
from pipeline.runs import Member
from pipeline.training.augmentation import ENGINES
from pipeline.training.callbacks import KeptCheckpoints
from pipeline.training.hardware import Hardware, prepare
from pipeline.training.loop import epoch_plan, train_member, training_dataset
from tests.watching import Watching

SMALL = recipe.load(
    "quick",
    "training.epochs=4 training.batch_size=50 training.precision=float32 checkpoints.keep_best=2",
)


def silent(line: str) -> None:
    """Take a progress line."""


def hardware(settings: Recipe = SMALL) -> Hardware:
    return prepare(settings.training)


@pytest.fixture(scope="module")
def rows(labelled: Digits) -> Digits:
    return Digits(labelled.images[:520], labelled.labels[:520])


@pytest.fixture(scope="module")
def validation(labelled: Digits) -> Digits:
    return Digits(labelled.images[520:], labelled.labels[520:])


@pytest.mark.parametrize("engine", ENGINES)
def test_order_and_warps_depend_on_seed_member_and_epoch_alone(engine: str) -> None:
    made = ENGINES[engine](SMALL.augmentation.model_dump(exclude={"engine"}))
    order, warps = epoch_plan(made, 100, seed=1, member=2, epoch=3)
    again, warps_again = epoch_plan(made, 100, seed=1, member=2, epoch=3)
    np.testing.assert_array_equal(order, again)
    np.testing.assert_array_equal(warps, warps_again)
    assert sorted(order) == list(range(100))
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        different, _ = epoch_plan(made, 100, *other)
        assert (order != different).any()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_dataset_can_be_entered_at_any_epoch(engine: str, rows: Digits) -> None:
    settings = recipe.load(
        "quick", f"training.epochs=3 training.batch_size=50 augmentation.engine={engine}"
    )
    whole = list(training_dataset(settings, rows, member=0))
    resumed = list(training_dataset(settings, rows, member=0, first_epoch=1))
    assert len(whole) == 3 * 11
    for (images, labels), (images_again, labels_again) in zip(whole[11:], resumed, strict=True):
        np.testing.assert_array_equal(images, images_again)
        np.testing.assert_array_equal(labels, labels_again)
    first_epoch = np.concatenate([labels for _, labels in whole[:11]])
    np.testing.assert_array_equal(np.bincount(first_epoch), np.bincount(rows.labels))
    pixels = np.concatenate([images for images, _ in whole])
    assert pixels.min() == 0
    assert pixels.max() == pytest.approx(1)


def test_a_member_leaves_its_best_epochs_and_its_history(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    watching = Watching()
    kept = watching.members
    train_member(SMALL, rows, validation, tmp_path / "0", hardware(), watching)
    history = pd.read_csv(tmp_path / "0" / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert list(history.columns) == [
        *["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"]
    ]
    best = history.sort_values(["val_accuracy", "val_loss"], ascending=[False, True])[:2]
    assert [one.epoch for one in kept[-1].checkpoints] == list(best["epoch"])
    assert [member.epochs for member in kept] == [0, 1, 2, 3, 4, 4]
    assert [member.status for member in kept] == ["running"] * 5 + ["done"]
    assert watching.epochs == [1, 2, 3, 4]
    files = sorted(path.name for path in (tmp_path / "0" / "checkpoints").iterdir())
    assert files == sorted(one.file for one in kept[-1].checkpoints)
    for one in kept[-1].checkpoints:
        path = tmp_path / "0" / "checkpoints" / one.file
        (probabilities,) = predict([path], [validation.images], "float32", silent)
        accuracy = (probabilities.argmax(axis=1) == validation.labels).mean()
        assert accuracy == pytest.approx(one.val_accuracy, abs=1e-6)
        assert f"val_accuracy-{one.val_accuracy:.5f}" in one.file
    # A checkpoint is a plain Keras file: no class of this package is needed to load it.
    network = keras.saving.load_model(path, compile=False)
    assert all(type(layer).__module__.startswith("keras.") for layer in network.layers)


def test_a_recipe_without_schedule_trains_all_epochs_and_keeps_the_last(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load(
        "quick",
        "training.epochs=3 training.optimizer=sgd training.learning_rate=0.05 "
        "reduce_on_plateau.enabled=false reduce_on_plateau.patience=0 "
        "early_stopping.enabled=false early_stopping.patience=0 early_stopping.min_delta=9 "
        "checkpoints.keep_best=0 checkpoints.keep_last=2",
    )
    watching = Watching()
    kept = watching.members
    train_member(settings, rows, validation, tmp_path, hardware(), watching)
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3]
    np.testing.assert_allclose(history["learning_rate"], 0.05, rtol=1e-6)
    assert sorted(one.epoch for one in kept[-1].checkpoints) == [2, 3]
    files = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert files == {one.file for one in kept[-1].checkpoints}
    assert kept[-1].parameters == 61_578


def test_the_best_and_the_last_epochs_are_kept_each_once(tmp_path: Path) -> None:
    settings = recipe.CheckpointSettings(keep_best=2, keep_last=1)
    network = networks.build("mlp_50")
    network.compile()
    checkpoints = KeptCheckpoints(tmp_path / "checkpoints", networks.build("mlp_50"), settings)
    checkpoints.set_model(network)
    found = []
    for epoch, (accuracy, loss) in enumerate(
        [(0.5, 1.0), (0.9, 0.4), (0.7, 0.6), (0.9, 0.3), (0.6, 0.7)]
    ):
        checkpoints.on_epoch_end(epoch, {"val_accuracy": accuracy, "val_loss": loss})
        checkpoints.remove_replaced()
        found.append([one.epoch for one in checkpoints.kept])
        files = {path.name for path in (tmp_path / "checkpoints").iterdir()}
        assert files == {one.file for one in checkpoints.kept}
    assert found == [[1], [2, 1], [2, 3], [4, 2], [4, 2, 5]]


def test_training_does_not_depend_on_what_was_trained_before(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_1000_dropout", "training.epochs=1 training.batch_size=50")
    other = recipe.load("mlp_50", "training.epochs=1 training.batch_size=50")
    histories = []
    for number, one in enumerate([settings, other, settings]):
        folder = tmp_path / str(number)
        train_member(one, rows, validation, folder, hardware(one), Watching())
        histories.append(pd.read_csv(folder / "history.csv").drop(columns="seconds"))
    pd.testing.assert_frame_equal(histories[0], histories[2])


def test_without_warps_the_digits_are_as_they_are(rows: Digits) -> None:
    settings = recipe.load("mlp_50", "training.epochs=1 training.batch_size=520")
    ((images, labels),) = list(training_dataset(settings, rows, member=0))
    order, _ = epoch_plan(ENGINES["none"]({}), 520, seed=0, member=0, epoch=0)
    np.testing.assert_array_equal(images, rows.images[order] / np.float32(255))
    np.testing.assert_array_equal(labels, rows.labels[order])


def test_an_infinite_loss_ends_training_and_keeps_nothing_of_it(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("quick", "training.learning_rate=1e30 training.epochs=2")
    with pytest.raises(PipelineError, match=r"loss became (nan|inf) in epoch 1.*learning_rate"):
        train_member(settings, rows, validation, tmp_path, hardware(), Watching())
    assert not list((tmp_path / "checkpoints").iterdir())


def test_too_little_memory_is_told_as_such(
    rows: Digits, validation: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(keras.Model, "fit", exhaust)
    with pytest.raises(PipelineError, match=r"batch_size is 50, for which .* too little memory"):
        train_member(SMALL, rows, validation, tmp_path, hardware(), Watching())


def test_ctrl_c_leaves_the_epochs_so_far(rows: Digits, validation: Digits, tmp_path: Path) -> None:
    settings = recipe.load("quick", "training.epochs=50 early_stopping.patience=50")

    def interrupt(member: Member) -> None:
        if member.epochs == 2:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    watching = Watching(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_member(settings, rows, validation, tmp_path, hardware(), watching)
    told = watching.members[-1]
    files = {path.name for path in (tmp_path / "checkpoints").glob("*.keras")}
    assert len(told.checkpoints) >= 2
    assert {one.file for one in told.checkpoints} <= files
    assert list(pd.read_csv(tmp_path / "history.csv")["epoch"])[:2] == [1, 2]
