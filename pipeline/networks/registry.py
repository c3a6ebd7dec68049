"""The registry of networks: builders entered by name, models built from them."""

import inspect
from collections.abc import Callable, Mapping
from traceback import extract_tb
from types import ModuleType

import keras
import tensorflow as tf
from keras import layers

from pipeline.common.errors import PipelineError

INPUT_SHAPE = (28, 28, 1)
CLASSES = 10
PIXEL_DIVISOR = 255.0
"""Pixels are divided by this before they enter a network."""

Layers = list[layers.Layer]

Builder = Callable[..., Layers]
"""Returns a network's layers from first to last, the softmax output among them.

Its arguments are dropout rates in [0, 1), named as in the recipe, each with a usual value.
"""

_REGISTRY: dict[str, Builder] = {}
_OWN_NAMES: list[str] = []


def register(name: str) -> Callable[[Builder], Builder]:
    """Return a decorator that enters a builder under `name`; a name taken twice raises."""

    def enter(builder: Builder) -> Builder:
        if name in _REGISTRY:
            raise ValueError(f"a network named {name!r} is registered already")
        _REGISTRY[name] = builder
        return builder

    return enter


def register_file(source: str) -> None:
    """Run the text of a network file of one's own, which enters its networks with `register`.

    The networks of an earlier file are forgotten. Raises PipelineError where the file fails.
    """
    for name in _OWN_NAMES:
        del _REGISTRY[name]
    before = set(_REGISTRY)
    try:
        exec(compile(source, "network.file", "exec"), ModuleType("own_network").__dict__)
    except Exception as error:
        frames = extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == "network.file"]
        where = f"network.file, line {lines[-1]}" if lines else "network.file"
        raise PipelineError(f"{where}: {type(error).__name__}: {error}; mend the file") from None
    finally:
        _OWN_NAMES[:] = set(_REGISTRY) - before


def names() -> list[str]:
    """Return the registered names, sorted."""
    return sorted(_REGISTRY)


def check(name: str, rates: Mapping[str, float]) -> None:
    """Raise PipelineError for an unregistered name, or a dropout rate that its network lacks."""
    if name not in _REGISTRY:
        raise PipelineError(
            f"recipe key network.name is {name!r}; it must be one of {', '.join(names())}"
        )
    known = list(inspect.signature(_REGISTRY[name]).parameters)
    for key, rate in rates.items():
        if key not in known:
            raise PipelineError(
                f"recipe key network.{key} is {rate}, but {name} has no such layer; it takes "
                f"{' and '.join(known) or 'no dropout rate'}: leave network.{key} out"
            )


def build(
    name: str, rates: Mapping[str, float] | None = None, pixel_maximum: float = 1.0
) -> keras.Model:
    """Build a freshly initialised network; Keras's global seed decides its weights.

    `rates` gives dropout rates in [0, 1) by name; those left out are the network's usual ones.
    The network takes pixels in [0, 1] and brings them to 0..`pixel_maximum` for its first layer.
    Raises PipelineError as `check` does.
    """
    check(name, rates or {})
    inputs = [keras.Input(INPUT_SHAPE)]
    if pixel_maximum != 1.0:
        inputs.append(layers.Rescaling(pixel_maximum))
    network = keras.Sequential([*inputs, *_REGISTRY[name](**(rates or {}))], name=name)
    if network.output_shape != (None, CLASSES):
        raise PipelineError(
            f"network {name} gives outputs of the shape {network.output_shape[1:]}; ({CLASSES},) "
            "is needed: end with output()"
        )
    return network


def output(initializer: str | keras.Initializer = "glorot_uniform") -> layers.Layer:
    """Return the softmax output layer, in float32 under mixed precision too.

    `initializer` is the Keras initializer of its weights, whose default is Keras's own.
    """
    return layers.Dense(
        CLASSES, activation="softmax", kernel_initializer=initializer, dtype="float32"
    )


def scale(images: tf.Tensor) -> tf.Tensor:
    """Turn uint8 pixels 0..255 into float32 in [0, 1]."""
    return tf.cast(images, tf.float32) / PIXEL_DIVISOR
