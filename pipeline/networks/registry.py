"""The registry of networks: builders by name, and the models built with them."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import extract_tb
from types import ModuleType

import keras
import tensorflow as tf
from keras import layers

from pipeline.common.errors import PipelineError
from pipeline.data.spec import SPEC

INPUT_SHAPE = SPEC.image_shape
CLASSES = SPEC.classes
PIXEL_DIVISOR = float(SPEC.highest_pixel)
"""Pixels are divided by this number before they enter a network."""

Layers = list[layers.Layer]

Builder = Callable[..., Layers]
"""A function that returns a network's layers, from the first to the softmax output.

Its arguments are dropout rates in [0, 1), named as in the recipe. Each has a default.
"""

_REGISTRY: dict[str, Builder] = {}
_OWN_NAMES: list[str] = []


def register(name: str) -> Callable[[Builder], Builder]:
    """Return a decorator that registers a builder as `name`. Raises ValueError if that is taken."""

    def enter(builder: Builder) -> Builder:
        if name in _REGISTRY:
            raise ValueError(f"a network named {name!r} is registered already")
        _REGISTRY[name] = builder
        return builder

    return enter


def register_file(source: str) -> None:
    """Run the text of a person's own network file, which calls `register` for its networks.

    The networks of an earlier file are removed. Raises PipelineError if the file raises.
    """
    for name in _OWN_NAMES:
        del _REGISTRY[name]
    before = set(_REGISTRY)
    try:
        exec(compile(source, "network.file", "exec"), ModuleType("own_network").__dict__)
    except (Exception, SystemExit) as error:
        frames = extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == "network.file"]
        where = f"network.file, line {lines[-1]}" if lines else "network.file"
        raise PipelineError(f"{where}: {type(error).__name__}: {error}; mend the file") from None
    finally:
        _OWN_NAMES[:] = set(_REGISTRY) - before


def names() -> list[str]:
    """Return the registered names, sorted."""
    return sorted(_REGISTRY)


def check(name: str, dropout_rates: Mapping[str, float]) -> None:
    """Raise PipelineError for an unknown network, or a dropout rate that it does not take."""
    if name not in _REGISTRY:
        raise PipelineError(
            f"recipe key network.name is {name!r}; it must be one of {', '.join(names())}"
        )
    known = list(inspect.signature(_REGISTRY[name]).parameters)
    for key, rate in dropout_rates.items():
        if key not in known:
            raise PipelineError(
                f"recipe key network.{key} is {rate}, but {name} has no such layer; it takes "
                f"{' and '.join(known) or 'no dropout rate'}; leave network.{key} out, or unset it "
                f'with SET="network.{key}=none"'
            )


def own_dropout_rates(name: str) -> dict[str, float]:
    """Return the rates that a network has where none are given, in [0, 1), by their names.

    Raises PipelineError as `check` does.
    """
    check(name, {})
    parameters = inspect.signature(_REGISTRY[name]).parameters
    return {key: float(one.default) for key, one in parameters.items()}


def build(
    name: str, dropout_rates: Mapping[str, float] | None = None, pixel_maximum: float = 1.0
) -> keras.Model:
    """Return a new network, uncompiled. Keras's global seed determines its weights.

    `dropout_rates` are rates in [0, 1) by name. For a rate left out, the network has its own. The
    network takes float32 pixels [n, 28, 28, 1] in [0, 1], which it multiplies by `pixel_maximum`
    before its first layer, and returns class probabilities [n, 10]. Raises PipelineError as `check`
    does, and for outputs of another shape.
    """
    check(name, dropout_rates or {})
    inputs = [keras.Input(INPUT_SHAPE)]
    if pixel_maximum != 1.0:
        inputs.append(layers.Rescaling(pixel_maximum))
    network = keras.Sequential([*inputs, *_REGISTRY[name](**(dropout_rates or {}))], name=name)
    if network.output_shape != (None, CLASSES):
        raise PipelineError(
            f"network {name} gives outputs of the shape {network.output_shape[1:]}; ({CLASSES},) "
            "is needed: end with output()"
        )
    return network


def check_own(name: str, dropout_rates: Mapping[str, float]) -> None:
    """Build a network of one's own, save it and load it again, as training and prediction will.

    Raises PipelineError where that fails.
    """
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            build(name, dropout_rates).save(path)
            keras.saving.load_model(path, compile=False)
    except PipelineError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise PipelineError(
            f"network.file: {name} cannot be built, saved and loaded again ({problem}); decorate "
            "your own layer classes with @keras.saving.register_keras_serializable(), and use "
            "such a class in place of a Lambda layer"
        ) from None


def output(initializer: str | keras.Initializer = "glorot_uniform") -> layers.Layer:
    """Return the softmax output layer, which is in float32 under mixed precision too.

    `initializer` is the Keras initializer of its weights. The default is Keras's own.
    """
    return layers.Dense(
        CLASSES, activation="softmax", kernel_initializer=initializer, dtype="float32"
    )


def scale(images: tf.Tensor) -> tf.Tensor:
    """Return uint8 pixels from 0 to 255 as float32 in [0, 1], in the same shape."""
    return tf.cast(images, tf.float32) / PIXEL_DIVISOR
