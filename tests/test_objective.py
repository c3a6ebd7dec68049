"""Losses and optimisers, held to Keras's own on the same digits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline import networks, recipe
from pipeline.data.digits import Digits
from pipeline.networks.fast_layers import accelerate
from pipeline.training.objective import (
    OPTIMIZERS,
    compile_network,
    learning_rate,
    mean_squared_error,
)


def test_mean_squared_error_is_kerass_own_on_one_hot_labels(labelled: Digits) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 800).astype(np.float32)
    one_hot = keras.utils.to_categorical(labelled.labels, 10)
    expected = keras.losses.MeanSquaredError()(one_hot, probabilities).numpy()
    found = tf.reduce_mean(mean_squared_error(tf.constant(labelled.labels), probabilities)).numpy()
    assert found == pytest.approx(expected, rel=1e-6)


KERAS_OPTIMIZERS = {
    "adam": keras.optimizers.Adam(0.02),
    "adamw": keras.optimizers.AdamW(0.02, weight_decay=0.1),
    "sgd": keras.optimizers.SGD(0.02),
}
KERAS_LOSSES = {
    "training.loss=categorical_crossentropy": keras.losses.CategoricalCrossentropy(),
    "training.loss=mean_squared_error": keras.losses.MeanSquaredError(),
    "training.label_smoothing=0.1": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
}


@pytest.mark.parametrize("loss", KERAS_LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_is_the_one_that_keras_makes_from_one_hot_labels(
    optimizer: str, loss: str, labelled: Digits
) -> None:
    decay = "training.weight_decay=0.1" if optimizer == "adamw" else ""
    settings = recipe.load(
        "mlp_50", f"training.optimizer={optimizer} training.learning_rate=0.02 {decay} {loss}"
    )
    images = labelled.images.astype(np.float32) / 255
    keras.utils.set_random_seed(3)
    plain = networks.build("mlp_50")
    ours = compile_network(
        accelerate(plain, "float32", on_cpu=True), settings.training, 0.02, xla=False
    )
    kind = KERAS_OPTIMIZERS[optimizer]
    plain.compile(
        type(kind).from_config(kind.get_config()), KERAS_LOSSES[loss], metrics=["accuracy"]
    )
    for _ in range(3):
        found = ours.train_on_batch(images, labelled.labels)
        expected = plain.train_on_batch(images, keras.utils.to_categorical(labelled.labels, 10))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for one, other in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("warm_up", "expected"),
    [
        (0.2, {0: 0, 10: 0.005, 20: 0.01, 60: 0.005, 100: 0}),
        (0.0, {0: 0.01, 50: 0.005, 100: 0}),
        (0.999, {0: 0, 99: 0.01, 100: 0}),
    ],
)
def test_the_cosine_schedule_rises_in_a_line_and_falls_as_half_a_cosine(
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


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("mixed_float16", "LossScaleOptimizer"), ("mixed_bfloat16", "Adam"), ("float32", "Adam")],
)
def test_float16_alone_is_trained_with_a_scaled_loss(precision: str, expected: str) -> None:
    settings = recipe.load("quick")
    network = accelerate(networks.build("small_cnn"), precision, on_cpu=True)
    rate = learning_rate(settings, steps=3)
    optimizer = compile_network(network, settings.training, rate, xla=False).optimizer
    assert type(optimizer).__name__ == expected
    assert float(optimizer.learning_rate) == pytest.approx(settings.training.learning_rate)


@pytest.mark.parametrize("possible", [True, False])
def test_xla_compiles_only_what_it_knows(possible: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    # Keras has its own say, which a test before this one may have changed (op determinism).
    monkeypatch.setattr(keras.Model, "compile", lambda self, **named: given.update(named))
    network = networks.build("mlp_50")
    network.layers[0].supports_jit = possible
    compile_network(network, recipe.load("mlp_50").training, 1e-3, xla=True)
    assert given["jit_compile"] is possible
