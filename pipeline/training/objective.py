"""What a network is trained to do, and by which rule: loss, optimiser, schedule, metric."""

from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf
from keras.optimizers.schedules import CosineDecay, LearningRateSchedule

from pipeline.networks import CLASSES
from pipeline.recipe import Recipe, TrainingSettings

Rate: TypeAlias = float | LearningRateSchedule

OPTIMIZERS: dict[str, Callable[[Rate, TrainingSettings], keras.optimizers.Optimizer]] = {
    "adam": lambda rate, settings: keras.optimizers.Adam(rate),
    "adamw": lambda rate, settings: keras.optimizers.AdamW(rate, settings.weight_decay),
    "sgd": lambda rate, settings: keras.optimizers.SGD(rate),
}
"""The values of `training.optimizer`, each with Keras's defaults but for what a recipe sets."""


def mean_squared_error(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Return Keras's mean squared error [n] between one-hot labels and probabilities [n, 10].

    `labels` is integers [n] or [n, 1] in 0..9.
    """
    return keras.losses.mean_squared_error(_one_hot(labels), probabilities)


def loss(settings: TrainingSettings) -> str | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the recipe's loss as Keras takes it for labels that are integers [n]."""
    if settings.loss == "mean_squared_error":
        return mean_squared_error
    if not settings.label_smoothing:
        # On labels that are integers this is the same as the categorical form on one-hot ones.
        return "sparse_categorical_crossentropy"

    def smoothed(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        return keras.losses.categorical_crossentropy(
            _one_hot(labels), probabilities, label_smoothing=settings.label_smoothing
        )

    return smoothed


def learning_rate(recipe: Recipe, steps: int) -> Rate:
    """Return the recipe's learning rate for a training of `steps` batches in all."""
    peak, schedule = recipe.training.learning_rate, recipe.schedule
    if schedule.kind == "constant":
        return peak
    warm_up = min(round(steps * schedule.warm_up), steps - 1)  # at least one step goes down
    return CosineDecay(
        initial_learning_rate=0.0 if warm_up else peak,
        decay_steps=steps - warm_up,
        warmup_target=peak if warm_up else None,
        warmup_steps=warm_up,
    )


def compile_network(
    network: keras.Model, settings: TrainingSettings, rate: Rate, xla: bool
) -> keras.Model:
    """Compile with the recipe's optimiser and loss, and with accuracy; return the network.

    `rate` is what `learning_rate` made of the recipe.
    """
    optimizer = OPTIMIZERS[settings.optimizer](rate, settings)
    if any(layer.dtype_policy.name == "mixed_float16" for layer in network.layers):
        # Keras does this by itself only for a model that has the policy, not just its layers.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # Keras's LSTM on a GPU is cuDNN's, which XLA does not know.
    possible = all(layer.supports_jit for layer in network.layers)
    network.compile(
        optimizer=optimizer,
        loss=loss(settings),
        metrics=["accuracy"],
        jit_compile=xla and possible,
    )
    return network


def _one_hot(labels: tf.Tensor) -> tf.Tensor:
    return keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), CLASSES)
