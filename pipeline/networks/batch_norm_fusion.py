"""Batch-norm fusion: a trained network with fewer operations and the same outputs, for prediction.

In prediction, batch normalization uses fixed moments, so it is linear. After a linear layer it can
be merged into that layer's weights (Jacob et al., arXiv 1712.05877, section 3.2). A ReLU after both
becomes the layer's activation, which TensorFlow computes together with it. `make bench` measures
the gain.
"""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

Array = NDArray[np.float32]

Block = list[layers.Layer]
"""A layer and the layers after it that are fused with it: batch normalization, then ReLU."""


def fuse(network: keras.Sequential, precision: str) -> keras.Sequential:
    """Return a copy of a network, for prediction only, with its batch normalization fused.

    The copy takes the same images. In float32 its outputs are the same within rounding. `precision`
    is a Keras dtype policy ("float32", "mixed_bfloat16"). The output layer keeps its own.
    """
    blocks = _blocks(network)
    copies = [_copy(block, network.layers[-1], precision) for block in blocks]
    fused = keras.Sequential([keras.Input(network.input_shape[1:]), *copies])
    for copy, block in zip(copies, blocks, strict=True):
        copy.set_weights(_weights(block))
    return fused


def _blocks(network: keras.Sequential) -> list[Block]:
    """Group layers into blocks, in order. Dropout, which has no effect here, is left out."""
    blocks: list[Block] = []
    for layer in network.layers:
        if blocks and _joins(layer, blocks[-1]):
            blocks[-1].append(layer)
        else:
            blocks.append([layer])
    return [block for block in blocks if type(block[0]) is not layers.Dropout]


def _joins(layer: layers.Layer, block: Block) -> bool:
    """Return whether a layer can be fused with the block before it."""
    first, last = block[0], block[-1]
    if type(first) not in (layers.Conv2D, layers.Dense):
        return False
    linear = first.activation is keras.activations.linear
    normalizes = type(layer) is layers.BatchNormalization and layer.axis == -1
    rectifies = type(layer) is layers.Activation and layer.activation is keras.activations.relu
    in_order = last is first if normalizes else type(last) is not layers.Activation
    return linear and (normalizes or rectifies) and in_order


def _copy(block: Block, output: layers.Layer, precision: str) -> layers.Layer:
    layer, *followers = block
    config = layer.get_config()
    if layer is not output:
        config["dtype"] = precision
    for follower in followers:
        if type(follower) is layers.BatchNormalization:
            config["use_bias"] = True
        else:
            config["activation"] = "relu"
    return type(layer).from_config(config)


def _weights(block: Block) -> list[Array]:
    """Return the weights of a block's copy: kernel w' = w g / s and bias b' = (b - m) g / s + o.

    m and s are the moving mean and standard deviation, g and o the scale and offset.
    """
    layer, *followers = block
    weights: list[Array] = layer.get_weights()
    if not (followers and type(followers[0]) is layers.BatchNormalization):
        return weights
    kernel, bias = weights if layer.use_bias else (*weights, 0)
    arrays = {variable.name: variable.numpy() for variable in followers[0].variables}
    deviation = np.sqrt(arrays["moving_variance"] + followers[0].epsilon)
    factor = arrays.get("gamma", 1) / deviation
    return [kernel * factor, (bias - arrays["moving_mean"]) * factor + arrays.get("beta", 0)]
