"""What a network is trained to do, and by which rule: loss, optimiser, metric."""

import keras
import tensorflow as tf

from pipeline.networks import CLASSES
from pipeline.recipe import Recipe

OPTIMIZERS: dict[str, type[keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}
"""The values of `training.optimizer`, each with Keras's defaults but for the learning rate."""


def mean_squared_error(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Return Keras's mean squared error [n] between one-hot labels and probabilities [n, 10].

    `labels` is integers [n] or [n, 1] in 0..9.
    """
    one_hot = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), CLASSES)
    return keras.losses.mean_squared_error(one_hot, probabilities)


LOSSES = {
    # On labels that are integers this is the same figure as the categorical form on one-hot ones.
    "categorical_crossentropy": "sparse_categorical_crossentropy",
    "mean_squared_error": mean_squared_error,
}
"""The values of `training.loss`, as Keras takes them for labels that are integers [n]."""


def compile_network(network: keras.Model, recipe: Recipe, xla: bool) -> keras.Model:
    """Compile with the recipe's optimiser and loss, and with accuracy; return the network."""
    settings = recipe.training
    optimizer = OPTIMIZERS[settings.optimizer](settings.learning_rate)
    if any(layer.dtype_policy.name == "mixed_float16" for layer in network.layers):
        # Keras does this by itself only for a model that has the policy, not just its layers.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    network.compile(
        optimizer=optimizer,
        loss=LOSSES[settings.loss],
        metrics=["accuracy"],
        jit_compile=xla,
    )
    return network
