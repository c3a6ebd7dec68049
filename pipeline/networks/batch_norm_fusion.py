"""Batch-norm fusion: a trained network with fewer operations and the same outputs, for prediction.

In prediction, batch normalization uses fixed moments, so it is linear. After a linear layer it can
be merged into that layer's weights (Jacob et al., arXiv 1712.05877, section 3.2). A ReLU after both
becomes the layer's activation, which TensorFlow computes together with it. `make bench` measures
the gain.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Block(NamedTuple):
    """A layer and the layers after it that are fused with it."""

    layer: layers.Layer
    normalization: layers.BatchNormalization | None = None
    activation: layers.Activation | None = None


def fuse(network: keras.Sequential, precision: str) -> keras.Sequential:
    """Return a copy of a network, for prediction only, with its batch normalization fused.

    The copy takes the same images. In float32 its outputs are the same within rounding. `precision`
    is a Keras dtype policy ("float32", "mixed_bfloat16"). The output layer keeps its own.
    """
    blocks = list(_blocks(network.layers))
    copies = [_copy(block, network.layers[-1], precision) for block in blocks]
    fused = keras.Sequential([keras.Input(network.input_shape[1:]), *copies])
    for copy, block in zip(copies, blocks, strict=True):
        copy.set_weights(_weights(block))
    return fused


def _blocks(remaining: Sequence[layers.Layer]) -> Iterator[Block]:
    """Group layers into blocks, in order. Dropout, which has no effect here, is left out."""
    while remaining:
        layer, *remaining = remaining
        normalization, activation = None, None
        if _is_linear(layer):
            if remaining and _normalizes_last_axis(remaining[0]):
                normalization, *remaining = remaining
            if remaining and _is_relu(remaining[0]):
                activation, *remaining = remaining
        if type(layer) is not layers.Dropout:
            yield Block(layer, normalization, activation)


def _is_linear(layer: layers.Layer) -> bool:
    linear = type(layer) in (layers.Conv2D, layers.Dense)
    return linear and layer.activation is keras.activations.linear


def _normalizes_last_axis(layer: layers.Layer) -> bool:
    return type(layer) is layers.BatchNormalization and layer.axis == -1


def _is_relu(layer: layers.Layer) -> bool:
    return type(layer) is layers.Activation and layer.activation is keras.activations.relu


def _copy(block: Block, output: layers.Layer, precision: str) -> layers.Layer:
    config = block.layer.get_config()
    if block.layer is not output:
        config["dtype"] = precision
    if block.normalization is not None:
        config["use_bias"] = True
    if block.activation is not None:
        config["activation"] = "relu"
    return type(block.layer).from_config(config)


def _weights(block: Block) -> list[Array]:
    """Return the weights of a block's copy: kernel w' = w g / s and bias b' = (b - m) g / s + o.

    m and s are the moving mean and standard deviation, g and o the scale and offset.
    """
    weights: list[Array] = block.layer.get_weights()
    normalization = block.normalization
    if normalization is None:
        return weights
    kernel, bias = weights if block.layer.use_bias else (*weights, 0)
    arrays = {variable.name: variable.numpy() for variable in normalization.variables}
    deviation = np.sqrt(arrays["moving_variance"] + normalization.epsilon)
    factor = arrays.get("gamma", 1) / deviation
    return [kernel * factor, (bias - arrays["moving_mean"]) * factor + arrays.get("beta", 0)]
