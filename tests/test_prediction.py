"""Prediction: folded networks against Keras's own, and bfloat16 against float32."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from pipeline import networks, recipe
from pipeline.digits import Digits
from pipeline.folding import fold
from pipeline.hardware import prepare
from pipeline.prediction import DOUBT, load_checkpoint, probabilities
from pipeline.training import train_member
from tests.watching import Watching


def scatter(network: keras.Model) -> None:
    """Give every normalization other moments, scales and offsets than those it begins with."""
    generator = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.variables:
                low = -1.5 if variable.name == "gamma" else 0.2
                variable.assign(generator.uniform(low, 1.5, variable.shape))


@pytest.mark.parametrize("name", networks.names())
def test_a_folded_network_has_the_same_outputs(name: str, labelled: Digits) -> None:
    keras.utils.set_random_seed(0)
    network = networks.build(name)
    scatter(network)
    images = labelled.images[:200].astype(np.float32) / 255
    expected = network(images, training=False)
    np.testing.assert_allclose(fold(network, "float32")(images), expected, atol=2e-5)


def test_folding_leaves_no_normalization_behind_a_linear_layer_and_no_dropout() -> None:
    folded = fold(networks.build("bn_cnn"), "mixed_bfloat16")
    kinds = [type(layer).__name__ for layer in folded.layers]
    assert kinds == [*["Conv2D", "MaxPooling2D"] * 3, "Flatten", "Dense", "Dense"]
    assert [layer.activation.__name__ for layer in folded.layers if hasattr(layer, "kernel")] == [
        *["relu"] * 4,
        "softmax",
    ]
    assert {layer.compute_dtype for layer in folded.layers[:-1]} == {"bfloat16"}
    assert folded.layers[-1].compute_dtype == "float32"


def test_what_cannot_be_folded_stays() -> None:
    """A normalization behind an activation, one without scale, and a ReLU behind nothing."""
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
    scatter(network)
    images = np.random.default_rng(0).random((50, 28, 28, 1), np.float32)
    folded = fold(network, "float32")
    assert len(folded.layers) == len(network.layers) - 1
    np.testing.assert_allclose(folded(images), network(images, training=False), atol=2e-6)


def test_bfloat16_gives_the_labels_of_float32(labelled: Digits, tmp_path: Path) -> None:
    """A network that is unsure of many rows: every row in doubt is predicted in float32."""
    settings = recipe.load("quick", "training.epochs=8 training.batch_size=20")
    rows = Digits(labelled.images[:400], labelled.labels[:400])
    train_member(settings, rows, rows, tmp_path, prepare(settings.training), Watching())
    path, *_ = (tmp_path / "checkpoints").iterdir()
    network = load_checkpoint(path)
    exact = probabilities(network, labelled.images)
    fast = probabilities(network, labelled.images, "mixed_bfloat16")
    second, first = np.sort(exact)[:, -2:].T
    doubtful = first - second < 0.8 * DOUBT
    assert 20 < doubtful.sum() < 780
    np.testing.assert_allclose(fast[doubtful], exact[doubtful], atol=1e-6)
    assert abs(fast - exact).max() > 1e-5
    np.testing.assert_array_equal(fast.argmax(axis=1), exact.argmax(axis=1))
    np.testing.assert_allclose(fast, exact, atol=DOUBT / 10)
