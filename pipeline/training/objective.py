"""What a network is trained for, and by which rule: loss, optimiser, schedule, metric."""

from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf
from keras.optimizers.schedules import CosineDecay, ExponentialDecay, LearningRateSchedule

from pipeline.networks import CLASSES
from pipeline.recipe import Recipe, TrainingSettings
from pipeline.training.muon import Muon

Rate: TypeAlias = float | LearningRateSchedule

OPTIMIZERS: dict[str, Callable[[Rate, TrainingSettings, str], keras.optimizers.Optimizer]] = {
    "adam": lambda rate, settings, output: keras.optimizers.Adam(rate),
    "adamw": lambda rate, settings, output: keras.optimizers.AdamW(rate, settings.weight_decay),
    "muon": lambda rate, settings, output: Muon(
        rate, settings.momentum, settings.weight_decay, output
    ),
    "sgd": lambda rate, settings, output: keras.optimizers.SGD(rate),
}
"""The values of `training.optimizer`, each with Keras's defaults except what a recipe sets.

The last argument is the name of the network's output layer.
"""


def mean_squared_error(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Return Keras's mean squared error [n] between one-hot labels and probabilities [n, 10].

    `labels` is integers [n] or [n, 1] in 0..9.
    """
    return keras.losses.mean_squared_error(_one_hot(labels), probabilities)


def loss(settings: TrainingSettings) -> str | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the recipe's loss in the form that Keras takes for integer labels [n]."""
    if settings.loss == "mean_squared_error":
        return mean_squared_error
    if not settings.label_smoothing:
        # On integer labels this equals the categorical form on one-hot labels.
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
    if schedule.kind == "exponential":
        per_epoch = steps // recipe.training.epochs
        return ExponentialDecay(peak, per_epoch, schedule.factor, staircase=True)
    warm_up = min(round(steps * schedule.warm_up), steps - 1)  # at least one step goes down
    return CosineDecay(
        initial_learning_rate=0.0 if warm_up else peak,
        decay_steps=steps - warm_up,
        warmup_target=peak if warm_up else None,
        warmup_steps=warm_up,
    )


def schedule_callbacks(recipe: Recipe) -> list[keras.callbacks.Callback]:
    """Return the recipe's ReduceLROnPlateau and EarlyStopping, those that are enabled."""
    plateau, stopping = recipe.reduce_on_plateau, recipe.early_stopping
    callbacks: list[keras.callbacks.Callback] = []
    if plateau.enabled:
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_accuracy",
                mode="max",
                patience=plateau.patience,
                factor=plateau.factor,
                min_lr=plateau.min_learning_rate,
            )
        )
    if stopping.enabled:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss",
                mode="min",
                min_delta=stopping.min_delta,
                patience=stopping.patience,  # the best weights are in the checkpoints
            )
        )
    return callbacks


def compile_network(
    network: keras.Model, settings: TrainingSettings, rate: Rate, xla: bool
) -> keras.Model:
    """Compile the network with the recipe's optimiser and loss and with accuracy. Return it.

    `rate` is what `learning_rate` returns for the recipe.
    """
    optimizer = OPTIMIZERS[settings.optimizer](rate, settings, network.layers[-1].name)
    if any(layer.dtype_policy.name == "mixed_float16" for layer in network.layers):
        # Keras adds loss scaling only where the model has the policy, not just its layers.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # Keras's LSTM on a GPU is cuDNN's, which XLA cannot compile.
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
