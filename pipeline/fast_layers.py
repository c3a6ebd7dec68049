"""A Keras layer with the same mathematics and a faster kernel, for training.

Keras 3 computes batch normalization from elementwise operations, each a pass over memory.
`make bench` measures what one fused operation gains. Checkpoints never hold the layer here:
training copies its weights into the plain network, so that any Keras user can load a checkpoint
(callbacks.py).
"""

import keras
import tensorflow as tf
from keras import layers


class FusedBatchNormalization(layers.BatchNormalization):
    """BatchNormalization over the last axis whose training step is one fused operation."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalize [n, ..., c] by the batch's moments and update the moving ones."""
        if not training:
            return super().call(inputs, training=training)
        channels = inputs.shape[-1]
        images = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, 1, 1, channels))
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=self.gamma,
            offset=self.beta,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation reports the unbiased variance; Keras's moving variance is the biased one.
        count = tf.cast(tf.size(images) // channels, variance.dtype)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * ((count - 1) / count))
        return tf.reshape(outputs, tf.shape(inputs))

    def _move(self, average: keras.Variable, value: tf.Tensor) -> None:
        average.assign(average * self.momentum + value * (1 - self.momentum))


def accelerate(network: keras.Model, precision: str) -> keras.Model:
    """Return a copy of a network, same weights, with the fast layer and the given dtype policy.

    `precision` is a Keras dtype policy ("float32", "mixed_bfloat16", "mixed_float16"). The output
    layer keeps its own. Layers without a faster form are copied as they are.
    """
    output = network.layers[-1]

    def copy(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        if layer is not output:
            config["dtype"] = precision
        return _fast_class(layer).from_config(config)

    copied = keras.models.clone_model(network, clone_function=copy)
    copied.set_weights(network.get_weights())
    return copied


def _fast_class(layer: layers.Layer) -> type[layers.Layer]:
    if type(layer) is layers.BatchNormalization and layer.axis == -1:
        return FusedBatchNormalization
    return type(layer)
