"""Losses, optimisers and schedules, compared with Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline import networks, recipe
from pipeline.data.digits import Digits
from pipeline.networks.fast_layers import accelerate
from pipeline.training.muon import Muon
from pipeline.training.objective import (
    OPTIMIZERS,
    compile_network,
    learning_rate,
    mean_squared_error,
)


def test_mean_squared_error_equals_keras_on_one_hot_labels(labelled: Digits) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 800).astype(np.float32)
    one_hot = keras.utils.to_categorical(labelled.labels, 10)
    expected = keras.losses.MeanSquaredError()(one_hot, probabilities).numpy()
    losses = mean_squared_error(tf.constant(labelled.labels), probabilities)
    assert tf.reduce_mean(losses).numpy() == pytest.approx(expected, rel=1e-6)


KERAS_OPTIMIZERS = {
    "adam": keras.optimizers.Adam(0.02),
    "adamw": keras.optimizers.AdamW(0.02, weight_decay=0.1),
    "muon": keras.optimizers.Muon(
        0.02, weight_decay=0.1, adam_weight_decay=0.1, exclude_layers=["the_output"]
    ),
    "sgd": keras.optimizers.SGD(0.02),
}
KERAS_LOSSES = {
    "training.loss=categorical_crossentropy": keras.losses.CategoricalCrossentropy(),
    "training.loss=mean_squared_error": keras.losses.MeanSquaredError(),
    "training.label_smoothing=0.1": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
}


@pytest.mark.parametrize("loss", KERAS_LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_steps_equal_those_of_keras_on_one_hot_labels(
    optimizer: str, loss: str, labelled: Digits
) -> None:
    decay = "training.weight_decay=0.1" if optimizer in ("adamw", "muon") else ""
    settings = recipe.load(
        "mlp_50", f"training.optimizer={optimizer} training.learning_rate=0.02 {decay} {loss}"
    )
    images = labelled.images.astype(np.float32) / 255
    keras.utils.set_random_seed(3)
    hidden = keras.layers.Dense(50, name="hidden")
    output = keras.layers.Dense(10, "softmax", name="the_output")
    plain = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), hidden, output])
    ours = compile_network(
        accelerate(plain, "float32", on_cpu=True), settings.training, 0.02, xla=False
    )
    kind = KERAS_OPTIMIZERS[optimizer]
    plain.compile(
        type(kind).from_config(kind.get_config()), KERAS_LOSSES[loss], metrics=["accuracy"]
    )
    for _ in range(3):
        metrics = ours.train_on_batch(images, labelled.labels)
        expected = plain.train_on_batch(images, keras.utils.to_categorical(labelled.labels, 10))
    np.testing.assert_allclose(metrics, expected, rtol=1e-4)
    for weights, expected_weights in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weights, expected_weights, atol=1e-5)


def test_muon_takes_a_convolution_as_the_matrix_of_its_patches() -> None:
    random = np.random.default_rng(0)
    kernel, vector = (random.normal(size=one).astype("f4") for one in [(3, 3, 8, 16), (16,)])
    variables = [keras.Variable(one) for one in (kernel, vector)]
    ours = Muon(0.02, momentum=0.9, weight_decay=0.1, output="softmax")
    matrices = [keras.Variable(kernel.reshape(72, 16)), keras.Variable(vector)]
    settings = {"momentum": 0.9, "weight_decay": 0.1, "adam_weight_decay": 0.1}
    plain = keras.optimizers.Muon(0.02, **settings)
    for _ in range(3):
        gradients = [random.normal(size=one.shape).astype(np.float32) for one in variables]
        ours.apply(gradients, variables)
        plain.apply([gradients[0].reshape(72, 16), gradients[1]], matrices)
    moved = [keras.ops.convert_to_numpy(one) for one in variables]
    assert np.abs(moved[0] - kernel).mean() > 0.003
    np.testing.assert_allclose(moved[0].reshape(72, 16), matrices[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(moved[1], matrices[1].numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("warm_up", "expected"),
    [
        (0.2, {0: 0, 10: 0.005, 20: 0.01, 60: 0.005, 100: 0}),
        (0.0, {0: 0.01, 50: 0.005, 100: 0}),
        (0.999, {0: 0, 99: 0.01, 100: 0}),
    ],
)
def test_the_cosine_schedule_rises_linearly_and_falls_as_half_a_cosine(
    warm_up: float, expected: dict[int, float]
) -> None:
    changes = "schedule.kind=cosine reduce_on_plateau.enabled=false early_stopping.enabled=false"
    settings = recipe.load(
        "bn_cnn", f"{changes} schedule.warm_up={warm_up} training.learning_rate=0.01"
    )
    schedule = learning_rate(settings, steps=100)
    assert isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, abs=1e-8)


def test_the_exponential_schedule_is_that_of_the_fifteen_cnns() -> None:
    settings = recipe.load("fifteen")
    schedule = learning_rate(settings, steps=45 * 591)
    assert isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    for epoch in (0, 1, 44):
        for step in (epoch * 591, epoch * 591 + 590):
            assert float(schedule(step)) == pytest.approx(1e-3 * 0.95**epoch, rel=1e-5)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("mixed_float16", "LossScaleOptimizer"), ("mixed_bfloat16", "Adam"), ("float32", "Adam")],
)
def test_only_float16_is_trained_with_loss_scaling(precision: str, expected: str) -> None:
    settings = recipe.load("quick")
    network = accelerate(networks.build("small_cnn"), precision, on_cpu=True)
    rate = learning_rate(settings, steps=3)
    optimizer = compile_network(network, settings.training, rate, xla=False).optimizer
    assert type(optimizer).__name__ == expected
    assert float(optimizer.learning_rate) == pytest.approx(settings.training.learning_rate)


@pytest.mark.parametrize("possible", [True, False])
def test_xla_compiles_only_layers_that_support_it(
    possible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, object] = {}
    # The real `compile` also looks at op determinism, which an earlier test may have switched on.
    monkeypatch.setattr(keras.Model, "compile", lambda self, **named: arguments.update(named))
    network = networks.build("mlp_50")
    network.layers[0].supports_jit = possible
    compile_network(network, recipe.load("mlp_50").training, 1e-3, xla=True)
    assert arguments["jit_compile"] is possible
