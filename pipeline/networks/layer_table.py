"""The layers of a network as a table: shapes, numbers of parameters, and their formulas."""

import math
from collections.abc import Sequence

import keras
import pandas as pd
from keras import layers

COLUMNS = ["layer", "kind", "output_shape", "parameters", "formula"]
"""Columns of a layer table."""


def layer_table(network: keras.Model) -> pd.DataFrame:
    """Return one row per layer of a built network, in its order, with the columns `COLUMNS`.

    `output_shape` is text without the batch, such as "28 x 28 x 64". `parameters` is the number of
    all weights, trained or not (`count_params`). `formula` is text with numbers whose value is
    `parameters`; "x" stands for times:

    - convolution: (input channels x kernel area + 1) x filters, the 1 being the bias;
    - dense: (inputs + 1) x units;
    - batch normalization: 4 x channels, of which scale and shift are trained;
    - LSTM: 4 gates x (inputs + units + 1) x units;
    - other layers: the sum of the sizes of their weights; empty without weights.

    `network` is a Sequential or functional model. Raises ValueError if it is not built.
    """
    if not network.built:
        raise ValueError(f"the network {network.name} is not built; it has no shapes yet")
    rows = [
        (
            layer.name,
            type(layer).__name__,
            _shape_text(layer.output),
            layer.count_params(),
            _formula(layer),
        )
        for layer in network.layers
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def as_text(table: pd.DataFrame) -> str:
    """Return a table of `layer_table` as text: aligned columns, and a last line with the sum."""
    total = pd.DataFrame([["all layers", "", "", table["parameters"].sum(), ""]], columns=COLUMNS)
    lines = pd.concat([table, total]).rename(columns={"output_shape": "output shape"})
    return lines.to_string(index=False, formatters={"parameters": "{:,}".format})


def _formula(layer: layers.Layer) -> str:
    """Return the formula of the number of a layer's weights, empty if it has none."""
    if isinstance(layer, (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense)):
        *kernel, channels, outputs = layer.kernel.shape  # a dense layer's kernel covers no area
        inputs = _times([channels, *kernel])
        return f"({inputs} + 1) x {outputs}" if layer.use_bias else f"{inputs} x {outputs}"
    if isinstance(layer, layers.BatchNormalization):
        channels = math.prod(layer.moving_mean.shape)
        trained = f"({len(layer.trainable_weights)} x {channels} trained)"
        return f"{len(layer.weights)} x {channels} {trained}"
    if isinstance(layer, layers.LSTM):
        inputs = layer.cell.kernel.shape[0]
        bias = " + 1" if layer.use_bias else ""
        return f"4 x ({inputs} + {layer.units}{bias}) x {layer.units}"
    return " + ".join(_times(weight.shape) or "1" for weight in layer.weights)


def _times(numbers: Sequence[int]) -> str:
    return " x ".join(str(number) for number in numbers)


def _shape_text(output: object) -> str:
    """Return the shape of a layer's output without the batch. Commas separate several outputs."""
    return ", ".join(
        _times(tensor.shape[1:]).replace("None", "any") for tensor in keras.tree.flatten(output)
    )
