"""The networks of the usual MNIST tutorials; their recipes are in pipeline/recipes/tutorials/.

Where a tutorial gives no dropout rate, it is 0.2 here, as is usual in Keras's MNIST examples.
"""

from keras import layers
from keras.initializers import Initializer, RandomNormal

from pipeline.networks.registry import INPUT_SHAPE, Layers, output, register

ROWS = INPUT_SHAPE[:2]
"""An image as an LSTM takes it: 28 steps of 28 pixels."""

NORMAL = "normal"
"""Keras's normal initializer: mean 0, standard deviation 0.05."""


@register("mlp_256")
def mlp_256() -> Layers:
    """One dense layer: 203,530 parameters."""
    return [layers.Flatten(), _relu(256, NORMAL), output(NORMAL)]


@register("mlp_1000")
def mlp_1000() -> Layers:
    """One wide dense layer: 795,010 parameters."""
    return [layers.Flatten(), _relu(1000, NORMAL), output(NORMAL)]


@register("mlp_1000_dropout")
def mlp_1000_dropout(dropout: float = 0.5) -> Layers:
    """One wide dense layer with dropout: 795,010 parameters."""
    return [layers.Flatten(), _relu(1000, NORMAL), layers.Dropout(dropout), output(NORMAL)]


@register("mlp_1000x2_dropout")
def mlp_1000x2_dropout(dropout: float = 0.5) -> Layers:
    """Two wide dense layers with dropout after each: 1,796,010 parameters."""
    return [
        layers.Flatten(),
        _relu(1000, NORMAL),
        layers.Dropout(dropout),
        _relu(1000, NORMAL),
        layers.Dropout(dropout),
        output(NORMAL),
    ]


@register("mlp_512_128")
def mlp_512_128(dropout: float = 0.2) -> Layers:
    """Two dense layers, the second smaller, with dropout after each: 468,874 parameters."""
    return [
        layers.Flatten(),
        _relu(512),
        layers.Dropout(dropout),
        _relu(128),
        layers.Dropout(dropout),
        output(),
    ]


@register("mlp_50")
def mlp_50() -> Layers:
    """A dense layer without activation, so that the network is linear: 39,760 parameters."""
    return [layers.Flatten(), layers.Dense(50), output()]


@register("cnn_32_16")
def cnn_32_16(dropout: float = 0.2, convolution_dropout: float = 0.2) -> Layers:
    """Two convolutions of 3 x 3 and one pooling: 301,274 parameters."""
    return [
        layers.Conv2D(32, 3, padding="valid", activation="relu"),
        layers.Dropout(convolution_dropout),
        layers.Conv2D(16, 3, padding="valid", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(convolution_dropout),
        layers.Flatten(),
        _relu(128),
        layers.Dropout(dropout),
        output(),
    ]


@register("cnn_16_36")
def cnn_16_36(dropout: float = 0.5, convolution_dropout: float = 0.25) -> Layers:
    """Two convolutions of 5 x 5, each with pooling: 242,062 parameters."""
    return [
        layers.Conv2D(16, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(36, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(convolution_dropout),
        layers.Flatten(),
        _relu(128),
        layers.Dropout(dropout),
        output(),
    ]


@register("cnn_mse_sgd")
def cnn_mse_sgd() -> Layers:
    """Three convolutions of 3 x 3, each with pooling: 325,282 parameters.

    The tutorial does not name its initializer. With pixels from 0 to 255, first weights as large as
    Keras's own give probabilities of 0 and 1, from which a mean squared error learns nothing: the
    accuracy stayed at 10 % (Glorot, He and LeCun initializers, 4 random seeds each). With a
    standard deviation of 0.02, usual since DCGAN (Radford et al., arXiv 1511.06434), the first
    probabilities are near 0.1.
    """
    return [
        *_pooled_convolution(32),
        *_pooled_convolution(64),
        *_pooled_convolution(128),
        layers.Flatten(),
        _relu(200, RandomNormal(stddev=0.02)),
        output(RandomNormal(stddev=0.02)),
    ]


@register("lstm_50")
def lstm_50() -> Layers:
    """An LSTM that takes the image row by row: 16,310 parameters."""
    return [layers.Reshape(ROWS), layers.LSTM(50), output()]


@register("lstm_128x2")
def lstm_128x2() -> Layers:
    """Two LSTMs, the second of which takes the outputs of the first: 213,258 parameters."""
    return [
        layers.Reshape(ROWS),
        layers.LSTM(128, return_sequences=True),
        layers.LSTM(128),
        output(),
    ]


def _relu(units: int, initializer: str | Initializer = "glorot_uniform") -> layers.Layer:
    return layers.Dense(units, activation="relu", kernel_initializer=initializer)


def _pooled_convolution(filters: int) -> Layers:
    initializer = RandomNormal(stddev=0.02)
    return [
        layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer=initializer
        ),
        layers.MaxPooling2D(2),
    ]
