"""The systems of the tutorials, layer by layer and setting by setting."""

from dataclasses import dataclass, field
from typing import Any

import keras
import pytest
from keras import layers

from pipeline import networks, recipe


@dataclass
class System:
    """The training settings of a tutorial, and its layers as `describe` writes them."""

    layers: list[str]
    batch: int
    validation: float = 0.1
    epochs: int = 10
    optimizer: str = "adam"
    rate: float = 0.001
    loss: str = "categorical_crossentropy"
    pixels: float = 1.0
    dropout: dict[str, float] = field(default_factory=dict)


SOFTMAX, NORMAL_SOFTMAX = "dense 10 softmax", "dense 10 softmax normal 0.05"
SYSTEMS = {
    "mlp_256": System(
        ["flatten", "dense 256 relu normal 0.05", NORMAL_SOFTMAX], batch=200, validation=0.2
    ),
    "mlp_1000": System(
        ["flatten", "dense 1000 relu normal 0.05", NORMAL_SOFTMAX], batch=200, validation=0.2
    ),
    "mlp_1000_dropout": System(
        ["flatten", "dense 1000 relu normal 0.05", "dropout 0.5", NORMAL_SOFTMAX],
        batch=200,
        validation=0.2,
        dropout={"dropout": 0.5},
    ),
    "mlp_1000x2_dropout": System(
        ["flatten", *["dense 1000 relu normal 0.05", "dropout 0.5"] * 2, NORMAL_SOFTMAX],
        batch=200,
        validation=0.2,
        dropout={"dropout": 0.5},
    ),
    "mlp_512_128": System(
        ["flatten", "dense 512 relu", "dropout 0.2", "dense 128 relu", "dropout 0.2", SOFTMAX],
        batch=128,
        dropout={"dropout": 0.2},
    ),
    "mlp_50": System(
        ["flatten", "dense 50 linear", SOFTMAX], batch=128, optimizer="sgd", rate=0.01
    ),
    "cnn_32_16": System(
        [
            *["conv 32 3x3 valid relu", "dropout 0.2"],
            *["conv 16 3x3 valid relu", "pool 2x2", "dropout 0.2"],
            *["flatten", "dense 128 relu", "dropout 0.2", SOFTMAX],
        ],
        batch=128,
        dropout={"dropout": 0.2, "convolution_dropout": 0.2},
    ),
    "cnn_16_36": System(
        [
            *["conv 16 5x5 same relu", "pool 2x2"],
            *["conv 36 5x5 same relu", "pool 2x2", "dropout 0.25"],
            *["flatten", "dense 128 relu", "dropout 0.5", SOFTMAX],
        ],
        batch=300,
        validation=0.2,
        dropout={"dropout": 0.5, "convolution_dropout": 0.25},
    ),
    "cnn_mse_sgd": System(
        [
            "rescale 255",
            *["conv 32 3x3 same relu normal 0.02", "pool 2x2"],
            *["conv 64 3x3 same relu normal 0.02", "pool 2x2"],
            *["conv 128 3x3 same relu normal 0.02", "pool 2x2"],
            *["flatten", "dense 200 relu normal 0.02", "dense 10 softmax normal 0.02"],
        ],
        batch=100,
        epochs=12,
        optimizer="sgd",
        rate=0.05,
        loss="mean_squared_error",
        pixels=255.0,
    ),
    "lstm_50": System(
        ["rows of 28", "lstm 50 last", SOFTMAX], batch=128, optimizer="sgd", rate=0.01
    ),
    "lstm_128x2": System(["rows of 28", "lstm 128 all", "lstm 128 last", SOFTMAX], batch=128),
}


def describe(layer: layers.Layer) -> str:
    """Return what matters of a layer in a few words, without Keras's default initializer."""
    words: list[Any]
    match layer:
        case layers.Dense():
            words = ["dense", layer.units, layer.activation.__name__]
        case layers.Conv2D():
            height, width = layer.kernel_size
            words = ["conv", layer.filters, f"{height}x{width}", layer.padding]
            words.append(layer.activation.__name__)
        case layers.MaxPooling2D():
            words = ["pool", "{}x{}".format(*layer.pool_size)]
        case layers.Dropout():
            words = ["dropout", layer.rate]
        case layers.LSTM():
            words = ["lstm", layer.units, "all" if layer.return_sequences else "last"]
        case layers.Reshape():
            assert layer.target_shape == (28, 28)
            words = ["rows of 28"]
        case layers.Rescaling():
            words = ["rescale", f"{layer.scale:g}"]
        case layers.Flatten():
            words = ["flatten"]
        case _:
            words = [type(layer).__name__]
    initializer = getattr(layer, "kernel_initializer", None)
    if isinstance(initializer, keras.initializers.RandomNormal):
        words += ["normal", initializer.stddev]
    elif initializer is not None:
        assert isinstance(initializer, keras.initializers.GlorotUniform)
    return " ".join(map(str, words))


def test_every_tutorial_recipe_is_described_here() -> None:
    assert {f"tutorials/{name}" for name in SYSTEMS} == {
        name for name in recipe.names() if name.startswith("tutorials/")
    }


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_recipe_trains_as_the_tutorial_does(name: str) -> None:
    settings, system = recipe.load(f"tutorials/{name}"), SYSTEMS[name]
    assert settings.network.name == name
    assert settings.split.validation_fraction == system.validation
    training = settings.training
    assert (training.batch_size, training.epochs) == (system.batch, system.epochs)
    assert (training.optimizer, training.learning_rate) == (system.optimizer, system.rate)
    assert (training.loss, training.precision) == (system.loss, "float32")
    assert settings.network.pixel_maximum == system.pixels
    assert settings.network.dropout_rates == system.dropout
    assert settings.augmentation.engine == "none"
    assert (settings.checkpoints.keep_best, settings.checkpoints.keep_last) == (0, 1)
    assert not settings.reduce_on_plateau.enabled
    assert not settings.early_stopping.enabled


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_network_has_the_layers_of_the_tutorial(name: str) -> None:
    settings = recipe.load(f"tutorials/{name}").network
    network = networks.build(settings.name, settings.dropout_rates, settings.pixel_maximum)
    assert [describe(layer) for layer in network.layers] == SYSTEMS[name].layers
