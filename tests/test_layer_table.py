"""The layer table: its counts are those of Keras, and its formulas give the counts."""

import re

import keras
import pytest
from keras import layers

from pipeline import networks
from pipeline.networks.layer_table import COLUMNS, as_text, layer_table


def value(formula: str) -> int:
    """Return the value of a formula; a remark on trained weights is not part of it."""
    without_remark = re.sub(r"\(\d+ x \d+ trained\)", "", formula)
    return int(eval(without_remark.replace("x", "*"))) if without_remark else 0


def table_of(*stack: layers.Layer) -> dict[str, list[object]]:
    """Return the columns of the layer table of a network with these layers."""
    table = layer_table(keras.Sequential([keras.Input((28, 28, 1)), *stack]))
    return {name: table[name].tolist() for name in COLUMNS}


EXAMPLES = {
    "convolutions": (
        [
            layers.Conv2D(64, 3, padding="same"),
            layers.Conv2D(8, (5, 3), use_bias=False),
            layers.Conv2D(6, 3, groups=2),
        ],
        ["(1 x 3 x 3 + 1) x 64", "64 x 5 x 3 x 8", "(4 x 3 x 3 + 1) x 6"],
    ),
    "dense": (
        [layers.Flatten(), layers.Dense(256), layers.Dense(10, use_bias=False)],
        ["", "(784 + 1) x 256", "256 x 10"],
    ),
    "normalizations": (
        [
            layers.Conv2D(64, 1),
            layers.BatchNormalization(),
            layers.BatchNormalization(scale=False),
            layers.LayerNormalization(),
        ],
        ["(1 x 1 x 1 + 1) x 64", "4 x 64 (2 x 64 trained)", "3 x 64 (1 x 64 trained)", "64 + 64"],
    ),
    "recurrent": (
        [
            layers.Reshape((28, 28)),
            layers.LSTM(50, return_sequences=True),
            layers.LSTM(20, use_bias=False),
        ],
        ["", "4 x (28 + 50 + 1) x 50", "4 x (50 + 20) x 20"],
    ),
    "others": (
        [
            layers.PReLU(shared_axes=[1, 2]),
            layers.DepthwiseConv2D(3),
            layers.Reshape((26, 26)),
            layers.GRU(5),
            keras.Sequential([layers.Dense(4)]),
        ],
        ["1 x 1 x 1", "3 x 3 x 1 x 1 + 1", "", "26 x 15 + 5 x 15 + 2 x 15", "5 x 4 + 4"],
    ),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_formulas_have_the_right_numbers_and_give_the_count(kind: str) -> None:
    stack, formulas = EXAMPLES[kind]
    table = table_of(*stack)
    assert table["formula"] == formulas
    assert table["parameters"] == [layer.count_params() for layer in stack]
    assert table["parameters"] == [value(formula) for formula in formulas]


@pytest.mark.parametrize("name", networks.names())
def test_the_counts_of_every_registered_network_add_up(name: str) -> None:
    network = networks.build(name)
    table = layer_table(network)
    assert table["layer"].tolist() == [layer.name for layer in network.layers]
    assert table["parameters"].sum() == network.count_params()
    assert table["parameters"].tolist() == [value(formula) for formula in table["formula"]]


def test_shapes_leave_out_the_batch() -> None:
    table = table_of(layers.Conv2D(64, 3, padding="same"), layers.MaxPooling2D(2), layers.Flatten())
    assert table["output_shape"] == ["28 x 28 x 64", "14 x 14 x 64", "12544"]
    assert table["kind"] == ["Conv2D", "MaxPooling2D", "Flatten"]


def test_shapes_name_an_open_length_and_several_outputs() -> None:
    steps = keras.Input((None, 28))
    states = layers.LSTM(5, return_sequences=True, return_state=True)(steps)
    shapes = layer_table(keras.Model(steps, states))["output_shape"]
    assert shapes.tolist() == ["any x 28", "any x 5, 5, 5"]


def test_a_network_without_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="the network plain is not built"):
        layer_table(keras.Sequential([layers.Dense(3)], name="plain"))


def test_the_text_is_aligned_and_ends_with_the_sum() -> None:
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(name="flatten"),
            layers.Dense(256, name="dense"),
        ]
    )
    assert as_text(layer_table(network)).split("\n") == [
        "     layer    kind output shape parameters         formula",
        "   flatten Flatten          784          0                ",
        "     dense   Dense          256    200,960 (784 + 1) x 256",
        "all layers                         200,960                ",
    ]
