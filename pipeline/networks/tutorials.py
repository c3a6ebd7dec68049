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
        *_dropped(_relu(1000, NORMAL), dropout),
        *_dropped(_relu(1000, NORMAL), dropout),
        output(NORMAL),
    ]


@register("mlp_512_128")
def mlp_512_128(dropout: float = 0.2) -> Layers:
    """Two dense layers, the second smaller, with dropout after each: 468,874 parameters."""
    return [layers.Flatten(), *_dropped(_relu(512), dropout), *_last_layers(dropout)]


@register("mlp_50")
def mlp_50() -> Layers:
    """A dense layer without activation, so that the network is linear: 39,760 parameters."""
    return [layers.Flatten(), layers.Dense(50), output()]


@register("cnn_32_16")
def cnn_32_16(dropout: float = 0.2, convolution_dropout: float = 0.2) -> Layers:
    """Two convolutions of 3 x 3 and one pooling: 301,274 parameters."""
    return [
        *_dropped(layers.Conv2D(32, 3, activation="relu"), convolution_dropout),
        layers.Conv2D(16, 3, activation="relu"),
        *_dropped(layers.MaxPooling2D(2), convolution_dropout),
        layers.Flatten(),
        *_last_layers(dropout),
    ]


@register("cnn_16_36")
def cnn_16_36(dropout: float = 0.5, convolution_dropout: float = 0.25) -> Layers:
    """Two convolutions of 5 x 5, each with pooling: 242,062 parameters."""
    return [
        *_pooled(16, 5),
        *_pooled(36, 5),
        layers.Dropout(convolution_dropout),
        layers.Flatten(),
        *_last_layers(dropout),
    ]


@register("cnn_mse_sgd")
def cnn_mse_sgd() -> Layers:
    """Three convolutions of 3 x 3, each with pooling: 325,282 parameters.

    The tutorial does not name its initializer. With pixels from 0 to 255 and Keras's own first
    weights, 2 of 8 random seeds learned (seed 3 had an accuracy of 96.65 % after two epochs), and
    the others stayed at 10 %. With a standard deviation of 0.02, usual since DCGAN (Radford et al.,
    arXiv 1511.06434), every seed that was tried learned.
    """
    return [
        *_pooled(32, 3, RandomNormal(stddev=0.02)),
        *_pooled(64, 3, RandomNormal(stddev=0.02)),
        *_pooled(128, 3, RandomNormal(stddev=0.02)),
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


def _dropped(layer: layers.Layer, rate: float) -> Layers:
    return [layer, layers.Dropout(rate)]


def _last_layers(dropout: float) -> Layers:
    """Return a dense layer of 128 units with dropout, then the output layer."""
    return [*_dropped(_relu(128), dropout), output()]


def _pooled(filters: int, side: int, initializer: str | Initializer = "glorot_uniform") -> Layers:
    """Return a convolution of side x side pixels, with ReLU, then pooling."""
    convolution = layers.Conv2D(
        filters, side, padding="same", activation="relu", kernel_initializer=initializer
    )
    return [convolution, layers.MaxPooling2D(2)]
