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
from pipeline.augment import ENGINES
from pipeline.digits import Digits
from pipeline.ensemble import predict
from pipeline.errors import PipelineError
from pipeline.fast_layers import accelerate
from pipeline.hardware import Hardware, prepare
from pipeline.recipe import Recipe
from pipeline.runs import Member
from pipeline.training import compile_network, epoch_plan, train_member, training_dataset

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
    kept: list[Member] = []
    train_member(SMALL, rows, validation, tmp_path / "0", hardware(), silent, kept.append)
    history = pd.read_csv(tmp_path / "0" / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert list(history.columns) == [
        *["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"]
    ]
    best = history.sort_values(["val_accuracy", "val_loss"], ascending=[False, True])[:2]
    assert [one.epoch for one in kept[-1].checkpoints] == list(best["epoch"])
    assert [member.epochs for member in kept] == [1, 2, 3, 4]
    files = sorted(path.name for path in (tmp_path / "0" / "checkpoints").iterdir())
    assert files == sorted(one.file for one in kept[-1].checkpoints)
    for one in kept[-1].checkpoints:
        path = tmp_path / "0" / "checkpoints" / one.file
        (probabilities,) = predict([path], [validation.images], silent)
        accuracy = (probabilities.argmax(axis=1) == validation.labels).mean()
        assert accuracy == pytest.approx(one.val_accuracy, abs=1e-6)
        assert f"val_accuracy-{one.val_accuracy:.5f}" in one.file
    # A checkpoint is a plain Keras file: no class of this package is needed to load it.
    network = keras.saving.load_model(path, compile=False)
    assert all(type(layer).__module__.startswith("keras.") for layer in network.layers)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("mixed_float16", "LossScaleOptimizer"), ("mixed_bfloat16", "Adam"), ("float32", "Adam")],
)
def test_float16_alone_is_trained_with_a_scaled_loss(precision: str, expected: str) -> None:
    network = accelerate(networks.build("small_cnn", 0.2), precision)
    optimizer = compile_network(network, SMALL, xla=False).optimizer
    assert type(optimizer).__name__ == expected
    assert float(optimizer.learning_rate) == pytest.approx(SMALL.training.learning_rate)


def test_an_infinite_loss_ends_training_and_keeps_nothing_of_it(
    rows: Digits, validation: Digits, tmp_path: Path
) -> None:
    settings = recipe.load("quick", "training.learning_rate=1e30 training.epochs=2")
    with pytest.raises(PipelineError, match=r"loss became (nan|inf) in epoch 1.*learning_rate"):
        train_member(settings, rows, validation, tmp_path, hardware(), silent, lambda _: None)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_too_little_memory_is_told_as_such(
    rows: Digits, validation: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(keras.Model, "fit", exhaust)
    with pytest.raises(PipelineError, match=r"batch_size is 50, for which .* too little memory"):
        train_member(SMALL, rows, validation, tmp_path, hardware(), silent, lambda _: None)


def test_ctrl_c_leaves_the_epochs_so_far(rows: Digits, validation: Digits, tmp_path: Path) -> None:
    settings = recipe.load("quick", "training.epochs=50 early_stopping.patience=50")
    kept: list[Member] = []

    def keep(member: Member) -> None:
        kept.append(member)
        if member.epochs == 2:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        train_member(settings, rows, validation, tmp_path, hardware(), silent, keep)
    files = {path.name for path in (tmp_path / "checkpoints").glob("*.keras")}
    assert {one.file for one in kept[-1].checkpoints} <= files
