"""The registry, the size of each network, and the fast layers against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline import networks
from pipeline.common.errors import PipelineError
from pipeline.networks.fast_layers import BatchedGradientConv2D, FusedBatchNormalization, accelerate

PARAMETERS = {
    "bn_cnn": (742_858, 741_962),
    "small_cnn": (61_578, 61_226),
    "fast_cnn": (251_946, 251_178),
    "deep_cnn": (279_722, 278_890),
    "fifteen_cnn": (327_242, 326_410),
    "mlp_256": (203_530, 203_530),
    "mlp_1000": (795_010, 795_010),
    "mlp_1000_dropout": (795_010, 795_010),
    "mlp_1000x2_dropout": (1_796_010, 1_796_010),
    "mlp_512_128": (468_874, 468_874),
    "mlp_50": (39_760, 39_760),
    "cnn_32_16": (301_274, 301_274),
    "cnn_16_36": (242_062, 242_062),
    "cnn_mse_sgd": (325_282, 325_282),
    "lstm_50": (16_310, 16_310),
    "lstm_128x2": (213_258, 213_258),
}
"""The number of all parameters and of those trained."""

DROPOUT_RATES = {
    "bn_cnn": ["dropout"],
    "small_cnn": ["dropout"],
    "fifteen_cnn": ["convolution_dropout"] * 2 + ["dropout"],
    "mlp_1000_dropout": ["dropout"],
    "mlp_1000x2_dropout": ["dropout"] * 2,
    "mlp_512_128": ["dropout"] * 2,
    "cnn_32_16": ["convolution_dropout"] * 2 + ["dropout"],
    "cnn_16_36": ["convolution_dropout", "dropout"],
}
"""The recipe's key for each dropout layer, in order. The other networks have none."""


@pytest.mark.parametrize("name", networks.names())
def test_parameter_counts(name: str) -> None:
    network = networks.build(name)
    trainable = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert (network.count_params(), trainable) == PARAMETERS[name]
    assert network.output_shape == (None, 10)
    assert network.layers[-1].activation is keras.activations.softmax


@pytest.mark.parametrize("name", networks.names())
def test_dropout_layers_take_the_rates_of_the_recipe(name: str) -> None:
    keys = DROPOUT_RATES.get(name, [])
    recipe_rates = {"dropout": 0.41, "convolution_dropout": 0.17}
    network = networks.build(name, {key: recipe_rates[key] for key in set(keys)})
    rates = [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [recipe_rates[key] for key in keys]
    for key in recipe_rates.keys() - set(keys):
        with pytest.raises(
            PipelineError,
            match=rf"network.{key} is .*but {name} has no such layer.*; leave network.{key} out, "
            rf'or unset it with SET="network.{key}=none"',
        ):
            networks.check(name, {key: recipe_rates[key]})


def test_bn_cnn_has_the_layers_of_the_notebook() -> None:
    network = networks.build("bn_cnn")
    layers = [type(layer).__name__ for layer in network.layers]
    block = ["BatchNormalization", "Activation"]
    assert layers == [
        *["Conv2D", *block, "MaxPooling2D"],
        *["Conv2D", *block, "MaxPooling2D"],
        *["Conv2D", "Activation", "MaxPooling2D"],
        *["Flatten", "Dense", *block, "Dropout", "Dense"],
    ]
    assert network.layers[-2].rate == 0.3


def test_the_first_layer_can_get_pixels_as_in_the_files() -> None:
    pixels = np.arange(784, dtype=np.uint8).reshape(1, 28, 28, 1)
    network = networks.build("cnn_mse_sgd", pixel_maximum=255.0)
    rescaled = network.layers[0](networks.scale(pixels))
    np.testing.assert_array_equal(rescaled, pixels.astype(np.float32))
    assert network.count_params() == PARAMETERS["cnn_mse_sgd"][0]
    plain = networks.build("cnn_mse_sgd")
    assert type(plain.layers[0]) is keras.layers.Conv2D


def test_a_name_taken_twice_raises() -> None:
    with pytest.raises(ValueError, match="'bn_cnn' is registered already"):
        networks.register("bn_cnn")(networks.batch_norm_cnns.bn_cnn)


def test_an_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(
        PipelineError, match=r"'bn' ?; it must be one of bn_cnn, cnn_16_36, .*mlp_256"
    ):
        networks.build("bn")


@pytest.mark.parametrize("shape", [(32, 14, 14, 8), (32, 16)])
def test_fused_batch_normalization_trains_as_that_of_keras(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(3, 2, shape), tf.float32)
    upstream = tf.constant(generator.normal(size=shape), tf.float32)
    results = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind()
        layer.build(shape)
        layer.gamma.assign(tf.linspace(0.5, 2.0, shape[-1]))
        layer.beta.assign(tf.linspace(-1.0, 1.0, shape[-1]))
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
        gradients = tape.gradient(outputs, [inputs, layer.gamma.value, layer.beta.value], upstream)
        after = [weight.numpy() for weight in layer.weights]
        results.append([outputs.numpy(), *(g.numpy() for g in gradients), *after])
        results[-1].append(layer(inputs, training=False).numpy())
    for expected, fast in zip(*results, strict=True):
        np.testing.assert_allclose(fast, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-6), ("mixed_bfloat16", 0.01)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(3, 3), (2, 5)])
def test_batched_gradients_are_those_of_the_convolution_of_keras(
    padding: str, size: tuple[int, int], precision: str, tolerance: float
) -> None:
    """Processors round bfloat16 in different ways, so both are compared with Keras in float32."""
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=(6, 7, 5, 3)), tf.float32)
    results = []
    for kind, dtype in (
        (keras.layers.Conv2D, "float32"),
        (keras.layers.Conv2D, precision),
        (BatchedGradientConv2D, precision),
    ):
        keras.utils.set_random_seed(1)
        layer = kind(4, size, padding=padding, activation="relu", dtype=dtype)
        layer.build(inputs.shape)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        weights = [weight.value for weight in layer.weights]
        gradients = tape.gradient(loss, [inputs, *weights])
        results.append([np.float32(array) for array in (outputs, *gradients)])
    for exact, expected, fast in zip(*results, strict=True):
        error = abs(expected - exact).max()
        assert abs(fast - exact).max() < error + tolerance * abs(exact).max()


@pytest.mark.parametrize(
    ("precision", "on_cpu", "batched"),
    [
        ("mixed_bfloat16", True, [False, False, False, True, True]),
        ("mixed_bfloat16", False, [False] * 5),
        ("float32", True, [False] * 5),
    ],
)
def test_only_small_maps_in_bfloat16_on_a_cpu_have_batched_gradients(
    precision: str, on_cpu: bool, batched: list[bool]
) -> None:
    fast = accelerate(networks.build("deep_cnn"), precision, on_cpu)
    convolutions = [layer for layer in fast.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [isinstance(layer, BatchedGradientConv2D) for layer in convolutions] == batched


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", networks.names())
def test_accelerated_networks_have_the_same_weights_and_predict_alike(
    name: str, precision: str
) -> None:
    plain = networks.build(name)
    fast = accelerate(plain, precision, on_cpu=True)
    images = np.random.default_rng(0).random((16, 28, 28, 1), np.float32)
    kinds = [type(layer) for layer in fast.layers]
    normalizations = [type(layer) for layer in plain.layers].count(keras.layers.BatchNormalization)
    assert kinds.count(FusedBatchNormalization) == normalizations
    assert keras.layers.BatchNormalization not in kinds
    assert fast.layers[-1].compute_dtype == "float32"
    for copy, original in zip(fast.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(copy.numpy(), original.numpy())
    tolerance = 1e-5 if precision == "float32" else 0.03
    np.testing.assert_allclose(fast(images).numpy(), plain(images).numpy(), atol=tolerance, rtol=0)
