"""The registry of networks: named builders of plain, uncompiled Keras models.

Every network takes float32 images [n, 28, 28, 1] in [0, 1] and returns class probabilities
[n, 10]. The output layer stays float32 under mixed precision.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

from pipeline.errors import PipelineError

INPUT_SHAPE = (28, 28, 1)
CLASSES = 10
PIXEL_MAXIMUM = 255.0
"""Pixels are divided by this before they enter a network."""

Builder = Callable[[float], keras.Model]

_REGISTRY: dict[str, Builder] = {}


def register(name: str) -> Callable[[Builder], Builder]:
    """Return a decorator that enters a builder under `name`; a name taken twice raises."""

    def enter(builder: Builder) -> Builder:
        if name in _REGISTRY:
            raise ValueError(f"a network named {name!r} is registered already")
        _REGISTRY[name] = builder
        return builder

    return enter


def names() -> list[str]:
    """Return the registered names, sorted."""
    return sorted(_REGISTRY)


def check(name: str) -> None:
    """Raise PipelineError if no network is registered under `name`."""
    if name not in _REGISTRY:
        raise PipelineError(
            f"recipe key network.name is {name!r}; it must be one of {', '.join(names())}"
        )


def build(name: str, dropout: float) -> keras.Model:
    """Build a freshly initialised network; Keras's global seed decides its weights.

    `dropout` is the share of units dropped, in [0, 1). Raises PipelineError for an unknown name.
    """
    check(name)
    return _REGISTRY[name](dropout)


def scale(images: tf.Tensor) -> tf.Tensor:
    """Turn uint8 pixels 0..255 into float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / PIXEL_MAXIMUM


@register("bn_cnn")
def bn_cnn(dropout: float) -> keras.Model:
    """The notebook's batch-normalized CNN: 742,858 parameters, 741,962 trainable."""
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Conv2D(64, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(128, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(192, 3, padding="same"),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(256),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(dropout),
            layers.Dense(CLASSES, activation="softmax", dtype="float32"),
        ],
        name="bn_cnn",
    )


@register("small_cnn")
def small_cnn(dropout: float) -> keras.Model:
    """A network of 61,578 parameters for the `quick` recipe: no layer is wide at 28 x 28."""
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Conv2D(16, 3, padding="valid"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(dropout),
            layers.Dense(CLASSES, activation="softmax", dtype="float32"),
        ],
        name="small_cnn",
    )
