"""Prediction: fused networks against Keras's own, and bfloat16 against float32."""

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipeline import networks
from pipeline.common.errors import PipelineError
from pipeline.common.progress import ignore
from pipeline.data.dataset import Dataset
from pipeline.data.digits import Digits
from pipeline.data.split import k_folds
from pipeline.networks.batch_norm_fusion import fuse
from pipeline.prediction.ensemble import DOUBT, out_of_fold, predict
from pipeline.prediction.predictor import Predictor, load_checkpoint
from pipeline.runs import Checkpoint, Member, RunStore
from tests.alone import training_record


def randomize_normalization(network: keras.Model) -> None:
    """Set the moments, scales and offsets of all batch normalization to random numbers."""
    generator = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.variables:
                low = -1.5 if variable.name == "gamma" else 0.2
                variable.assign(generator.uniform(low, 1.5, variable.shape))


@pytest.mark.parametrize("name", networks.names())
def test_a_fused_network_has_the_same_outputs(name: str, labelled: Digits) -> None:
    keras.utils.set_random_seed(0)
    network = networks.build(name)
    randomize_normalization(network)
    images = labelled.images[:200].astype(np.float32) / 255
    expected = network(images, training=False)
    fused = fuse(network, "float32")
    np.testing.assert_allclose(fused(images), expected, atol=2e-5)


def test_fusion_leaves_no_normalization_after_a_linear_layer_and_no_dropout() -> None:
    fused = fuse(networks.build("bn_cnn"), "mixed_bfloat16")
    kinds = [type(layer).__name__ for layer in fused.layers]
    assert kinds == [*["Conv2D", "MaxPooling2D"] * 3, "Flatten", "Dense", "Dense"]
    assert [layer.activation.__name__ for layer in fused.layers if hasattr(layer, "kernel")] == [
        *["relu"] * 4,
        "softmax",
    ]
    assert {layer.compute_dtype for layer in fused.layers[:-1]} == {"bfloat16"}
    assert fused.layers[-1].compute_dtype == "float32"


def test_only_normalization_right_after_a_linear_layer_is_fused() -> None:
    """One after an activation stays. One without scale and offset is fused, also without a bias."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input(networks.registry.INPUT_SHAPE),
            layers.Activation("relu"),
            layers.Conv2D(4, 3, activation="relu", use_bias=False),
            layers.BatchNormalization(),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(scale=False, center=False),
            layers.Flatten(),
            networks.registry.output(),
        ]
    )
    randomize_normalization(network)
    images = np.random.default_rng(0).random((50, 28, 28, 1), np.float32)
    fused = fuse(network, "float32")
    assert len(fused.layers) == len(network.layers) - 1
    np.testing.assert_allclose(fused(images), network(images, training=False), atol=2e-6)


def save_untrained(name: str, seed: int, sharpness: float, path: Path) -> Path:
    """Save an untrained network. A higher `sharpness` makes its softmax outputs more certain."""
    keras.utils.set_random_seed(seed)
    network = networks.build(name)
    randomize_normalization(network)
    network.layers[-1].kernel.assign(network.layers[-1].kernel * sharpness)
    network.save(path)
    return path


def test_a_damaged_checkpoint_is_reported(tmp_path: Path) -> None:
    path = save_untrained("mlp_50", 0, 1, tmp_path / "epoch.keras")
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        offsets = [member.header_offset + 100 for member in archive.infolist()]
    for offset in offsets:
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        with pytest.raises(PipelineError, match=r"epoch.keras cannot be loaded \(.* is damaged\)"):
            load_checkpoint(path)
    for damaged in (whole[:-200], b""):
        path.write_bytes(damaged)
        with pytest.raises(PipelineError, match=r"epoch.keras cannot be loaded \(File is not"):
            load_checkpoint(path)
    path.unlink()
    with pytest.raises(PipelineError, match=r"epoch.keras cannot be loaded \(.*No such file"):
        load_checkpoint(path)


def test_rows_in_doubt_are_predicted_in_float32(labelled: Digits, tmp_path: Path) -> None:
    paths = [save_untrained("mlp_256", seed, 15, tmp_path / f"{seed}.keras") for seed in (0, 1)]
    (exact,) = predict(paths, [labelled.images], "float32", ignore)
    lines: list[str] = []
    (fast,) = predict(paths, [labelled.images], "mixed_bfloat16", lines.append)
    second, first = np.sort(exact)[:, -2:].T
    doubtful = first - second < 0.8 * DOUBT
    assert 20 < doubtful.sum() < 780
    _, count, *words = lines[-1].split()
    assert " ".join(words) == "rows in doubt again, in float32"
    assert int(count) == pytest.approx((first - second < DOUBT).sum(), abs=5)
    np.testing.assert_allclose(fast[doubtful], exact[doubtful], atol=1e-6)
    assert abs(fast - exact).max() > 1e-5
    np.testing.assert_array_equal(fast.argmax(axis=1), exact.argmax(axis=1))


def test_rows_in_doubt_of_a_run_with_folds_are_predicted_in_float32(
    labelled: Digits, tmp_path: Path
) -> None:
    splits = k_folds(labelled.labels, 2, 0, "d" * 64)
    saved = Checkpoint(file="a.keras", epoch=1, val_accuracy=0.9, val_loss=0.1)
    members = [Member(index=fold, fold=fold, seed=0, checkpoints=[saved]) for fold in (0, 1)]
    folded = {"name": "quick", "members": {"folds": 2}}
    record = training_record(status="done", members=members, recipe=folded)
    run = RunStore(tmp_path).create(record)
    for seed, path in enumerate(run.checkpoint_paths()):
        path.parent.mkdir(parents=True)
        save_untrained("mlp_256", seed, 15, path)
    rows = SimpleNamespace(labelled=labelled, test_images=labelled.images[:300])
    _, *exact = out_of_fold(run, splits, cast(Dataset, rows), "float32", ignore)
    _, *fast = out_of_fold(run, splits, cast(Dataset, rows), "mixed_bfloat16", ignore)
    for expected, probabilities in zip(exact, fast, strict=True):
        second, first = np.sort(expected)[:, -2:].T
        doubtful = first - second < 0.8 * DOUBT
        assert 5 < doubtful.sum() < 0.9 * len(expected)
        np.testing.assert_allclose(probabilities[doubtful], expected[doubtful], atol=1e-6)
        assert abs(probabilities - expected).max() > 1e-5
        np.testing.assert_array_equal(probabilities.argmax(axis=1), expected.argmax(axis=1))


def test_prediction_in_float32_switches_tensorfloat_32_off(
    labelled: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow's default is on. Afterwards the setting is what it was before."""
    allowed = tf.config.experimental.tensor_float_32_execution_enabled
    settings = []
    original = Predictor.__call__

    def note_setting(self: Predictor, images: np.ndarray) -> np.ndarray:
        settings.append(allowed())
        return original(self, images)

    monkeypatch.setattr(Predictor, "__call__", note_setting)
    path = save_untrained("mlp_50", 0, 1, tmp_path / "0.keras")
    assert allowed()
    predict([path], [labelled.images[:10]], "float32", ignore)
    assert settings == [False]
    assert allowed()


def test_rows_on_which_two_certain_networks_disagree_are_in_doubt(tmp_path: Path) -> None:
    """Each network is certain of nearly every row. Only their mean shows which rows are close."""
    images = np.random.default_rng(0).integers(0, 256, (4_000, 28, 28, 1), np.uint8)
    paths = [save_untrained("mlp_256", seed, 30, tmp_path / f"{seed}.keras") for seed in (0, 1)]
    (exact,) = predict(paths, [images], "float32", ignore)
    (fast,) = predict(paths, [images], "mixed_bfloat16", ignore)
    np.testing.assert_array_equal(fast.argmax(axis=1), exact.argmax(axis=1))
    unchecked = np.mean(
        [Predictor(load_checkpoint(path), "mixed_bfloat16")(images) for path in paths], axis=0
    )
    changed = unchecked.argmax(axis=1) != exact.argmax(axis=1)
    assert changed.any(), "bfloat16 alone gives the same labels, so this test shows nothing"
