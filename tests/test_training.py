"""Training of one member on real digits: order and warps, checkpoints, history, failures."""

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
from pipeline.common.progress import ignore
from pipeline.data.digits import Digits
from pipeline.prediction.ensemble import predict
from pipeline.recipe import Recipe
from pipeline.runs import Member
from pipeline.training.augmentation import ENGINES
from pipeline.training.batches import epoch_plan, training_dataset
from pipeline.training.callbacks import KeptCheckpoints
from pipeline.training.events import EpochEnded
from tests.alone import Alone

SMALL = recipe.load(
    "quick",
    "training.epochs=4 training.batch_size=50 training.precision=float32 checkpoints.keep_best=2",
)


@pytest.mark.parametrize("engine", ENGINES)
def test_order_and_warps_are_functions_of_seed_member_and_epoch(engine: str) -> None:
    sampler = ENGINES[engine](SMALL.augmentation.model_dump(exclude={"engine"}))
    order, warps = epoch_plan(sampler, 100, seed=1, member=2, epoch=3)
    same_order, same_warps = epoch_plan(sampler, 100, seed=1, member=2, epoch=3)
    np.testing.assert_array_equal(order, same_order)
    np.testing.assert_array_equal(warps, same_warps)
    assert sorted(order) == list(range(100))
    if engine != "none":
        assert len(np.unique(warps, axis=0)) == 100, "two positions have the same warp"
    for seed, member, epoch in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        other_order, other_warps = epoch_plan(sampler, 100, seed, member, epoch)
        assert (order != other_order).any()
        # Hardly any warp occurs in both. More would mean that they come from the same stream.
        shared = np.isin(other_warps[:, 0], warps[:, 0]).mean()
        assert shared == 1 if engine == "none" else shared < 0.05


@pytest.mark.parametrize("engine", ENGINES)
def test_the_dataset_can_start_at_any_epoch(engine: str, training: Digits) -> None:
    settings = recipe.load(
        "quick", f"training.epochs=3 training.batch_size=50 augmentation.engine={engine}"
    )
    whole = list(training_dataset(settings, training, member=0))
    resumed = list(training_dataset(settings, training, member=0, first_epoch=1))
    assert len(whole) == 3 * 11
    for (expected, expected_labels), (images, labels) in zip(whole[11:], resumed, strict=True):
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, expected_labels)
    first_epoch = np.concatenate([labels for _, labels in whole[:11]])
    np.testing.assert_array_equal(np.bincount(first_epoch), np.bincount(training.labels))
    pixels = np.concatenate([images for images, _ in whole])
    assert pixels.min() == 0
    assert pixels.max() == pytest.approx(1)


def test_a_member_keeps_its_best_epochs_and_its_history(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    alone = Alone(tmp_path)
    member = alone.train(SMALL, training, validation)
    history = pd.read_csv(alone.folder / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert list(history.columns) == [
        *["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"]
    ]
    best = history.sort_values(["val_accuracy", "val_loss"], ascending=[False, True])[:2]
    assert [checkpoint.epoch for checkpoint in member.checkpoints] == list(best["epoch"])
    assert [record.epochs for record in alone.recorded] == [0, 1, 2, 3, 4, 4]
    assert [record.status for record in alone.recorded] == ["running"] * 5 + ["done"]
    epochs = [event.epoch for event in alone.events if isinstance(event, EpochEnded)]
    assert epochs == [1, 2, 3, 4]
    files = sorted(path.name for path in (alone.folder / "checkpoints").iterdir())
    assert files == sorted(checkpoint.file for checkpoint in member.checkpoints)
    for checkpoint in member.checkpoints:
        path = alone.folder / "checkpoints" / checkpoint.file
        (probabilities,) = predict([path], [validation.images], "float32", ignore)
        accuracy = (probabilities.argmax(axis=1) == validation.labels).mean()
        assert accuracy == pytest.approx(checkpoint.val_accuracy, abs=1e-6)
        assert f"val_accuracy-{checkpoint.val_accuracy:.5f}" in checkpoint.file
    # A checkpoint is a plain Keras file. It needs no class of this package.
    network = keras.saving.load_model(path, compile=False)
    assert all(type(layer).__module__.startswith("keras.") for layer in network.layers)


def test_a_recipe_without_schedule_trains_all_epochs_and_keeps_the_last(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    # If they were enabled, early stopping would end this training, and the plateau would lower the
    # learning rate.
    changes = {
        "training": {"epochs": 3, "optimizer": "sgd", "learning_rate": 0.05},
        "reduce_on_plateau": {"enabled": False, "patience": 0},
        "early_stopping": {"enabled": False, "patience": 0, "min_delta": 9.0},
        "checkpoints": {"keep_best": 0, "keep_last": 2},
        "network": {"name": "small_cnn"},
    }
    settings = Recipe.model_validate({"name": "quick", **changes})
    alone = Alone(tmp_path)
    member = alone.train(settings, training, validation)
    history = pd.read_csv(alone.folder / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3]
    np.testing.assert_allclose(history["learning_rate"], 0.05, rtol=1e-6)
    assert sorted(checkpoint.epoch for checkpoint in member.checkpoints) == [2, 3]
    files = {path.name for path in (alone.folder / "checkpoints").iterdir()}
    assert files == {checkpoint.file for checkpoint in member.checkpoints}
    assert member.parameters == 61_578


def test_the_best_and_the_last_epochs_are_kept(tmp_path: Path) -> None:
    settings = recipe.CheckpointSettings(keep_best=2, keep_last=1)
    network = networks.build("mlp_50")
    network.compile()
    checkpoints = KeptCheckpoints(tmp_path, networks.build("mlp_50"), settings)
    checkpoints.set_model(network)
    kept, saved = [], []
    for epoch, (accuracy, loss) in enumerate(
        [(0.5, 1.0), (0.9, 0.4), (0.7, 0.6), (0.9, 0.3), (0.6, 0.7)]
    ):
        checkpoints.on_epoch_end(epoch, {"val_accuracy": accuracy, "val_loss": loss})
        kept.append([checkpoint.epoch for checkpoint in checkpoints.kept])
        saved += list(checkpoints.new_file)
    assert kept == [[1], [2, 1], [2, 3], [4, 2], [4, 2, 5]]
    assert [name[:21] for name in saved] == [f"checkpoints/epoch-00{n}" for n in range(1, 6)]
    assert list(tmp_path.iterdir()) == [], "the scratch folder must be empty"


def test_an_epoch_that_is_not_kept_is_not_saved(tmp_path: Path) -> None:
    network = networks.build("mlp_50")
    network.compile()
    settings = recipe.CheckpointSettings(keep_best=1)
    checkpoints = KeptCheckpoints(tmp_path, networks.build("mlp_50"), settings)
    checkpoints.set_model(network)
    for epoch, accuracy in enumerate((0.9, 0.8)):
        checkpoints.on_epoch_end(epoch, {"val_accuracy": accuracy, "val_loss": 1.0})
    assert checkpoints.new_file == {}
    assert [checkpoint.epoch for checkpoint in checkpoints.kept] == [1]


def test_an_epoch_without_validation_accuracy_raises(tmp_path: Path) -> None:
    checkpoints = KeptCheckpoints(
        tmp_path, networks.build("mlp_50"), recipe.CheckpointSettings(keep_best=1)
    )
    checkpoints.set_model(networks.build("mlp_50"))
    with pytest.raises(KeyError, match="val_accuracy"):
        checkpoints.on_epoch_end(0, {"val_acc": 0.9, "val_loss": 1.0})


def test_training_does_not_depend_on_earlier_trainings_of_the_process(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("mlp_1000_dropout", "training.epochs=1 training.batch_size=50")
    other = recipe.load("mlp_50", "training.epochs=1 training.batch_size=50")
    histories = []
    for number, trained in enumerate([settings, other, settings]):
        alone = Alone(tmp_path / str(number))
        alone.train(trained, training, validation)
        histories.append(pd.read_csv(alone.folder / "history.csv").drop(columns="seconds"))
    pd.testing.assert_frame_equal(histories[0], histories[2])


def test_without_warps_the_digits_are_unchanged(training: Digits) -> None:
    settings = recipe.load("mlp_50", "training.epochs=1 training.batch_size=520")
    ((images, labels),) = list(training_dataset(settings, training, member=0))
    order, _ = epoch_plan(ENGINES["none"]({}), 520, seed=0, member=0, epoch=0)
    np.testing.assert_array_equal(images, training.images[order] / np.float32(255))
    np.testing.assert_array_equal(labels, training.labels[order])


def test_an_infinite_loss_ends_training_and_leaves_no_files(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("quick", "training.learning_rate=1e30 training.epochs=2")
    alone = Alone(tmp_path)
    with pytest.raises(PipelineError, match=r"loss became (nan|inf) in epoch 1.*learning_rate"):
        alone.train(settings, training, validation)
    assert not list(alone.folder.rglob("*"))


def test_too_little_memory_is_reported_with_the_batch_size(
    training: Digits, validation: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(keras.Model, "fit", exhaust)
    with pytest.raises(PipelineError, match=r"batch_size is 50, for which .* too little memory"):
        Alone(tmp_path).train(SMALL, training, validation)


def test_ctrl_c_keeps_the_finished_epochs(
    training: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("quick", "training.epochs=50 early_stopping.patience=50")

    def interrupt(member: Member) -> None:
        if member.epochs == 2:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    alone = Alone(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        alone.train(settings, training, validation, interrupt)
    files = {path.name for path in alone.folder.glob("checkpoints/*.keras")}
    assert len(alone.member.checkpoints) >= 2
    assert {checkpoint.file for checkpoint in alone.member.checkpoints} <= files
    assert list(pd.read_csv(alone.folder / "history.csv")["epoch"])[:2] == [1, 2]
