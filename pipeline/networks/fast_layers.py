"""Keras layers with the same mathematics and faster kernels, for training.

`make bench` measures their gain. Checkpoints never hold these layers: training copies their weights
into the plain network, so that a checkpoint can be loaded with Keras alone (callbacks.py).
"""

from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf
from keras import layers

LARGEST_MAP = 8
"""The largest height or width, in pixels, for which BatchedGradientConv2D is used.

In bfloat16 on a CPU its gradient took 8.2 ms, oneDNN's own kernel 10.8 ms (7 x 7 pixels, 128
channels, 192 filters, 64 images); with 5 x 5 pixels, 128 channels, 128 filters and 256 images 4.8
and 13.0 ms. From 11 x 11 pixels on it gained next to nothing. In float32 it was slower for four of
five shapes.
"""

Gradients: TypeAlias = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class FusedBatchNormalization(layers.BatchNormalization):
    """BatchNormalization over the last axis whose training step is one fused operation.

    Keras 3 computes it from elementwise operations, each a pass over memory.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalize [n, ..., c] with the batch's moments and update the moving moments."""
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


class BatchedGradientConv2D(layers.Conv2D):
    """Conv2D of stride 1 that computes the gradient of its kernel as a convolution over the batch.

    This gradient is a sum over images and pixels. With images as channels and channels as images,
    it is an ordinary convolution with a kernel as large as the outputs.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Return Conv2D's outputs, [n, h', w', filters] for [n, h, w, c]."""
        padding = self.padding.upper()
        borders = [(0, 0), *map(self._border, self.kernel_size), (0, 0)]

        @tf.custom_gradient
        def convolve(images: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, Gradients]:
            def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                to_images = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(images),
                    filter=weights,
                    out_backprop=upstream,
                    strides=[1, 1, 1, 1],
                    padding=padding,
                )
                channels_first = tf.transpose(images, (3, 1, 2, 0))
                as_kernel = tf.transpose(upstream, (1, 2, 0, 3))
                to_weights = tf.nn.conv2d(channels_first, as_kernel, 1, borders)
                return to_images, tf.transpose(to_weights, (1, 2, 0, 3))

            return tf.nn.conv2d(images, weights, 1, padding), gradients

        return convolve(inputs, tf.convert_to_tensor(kernel))

    def _border(self, size: int) -> tuple[int, int]:
        """Return how many pixels "same" padding adds before and after, for a kernel's side."""
        return ((size - 1) // 2, size // 2) if self.padding == "same" else (0, 0)


def accelerate(network: keras.Model, precision: str, on_cpu: bool) -> keras.Model:
    """Return a copy of a network with the same weights, fast layers and the given dtype policy.

    `precision` is a Keras dtype policy ("float32", "mixed_bfloat16", "mixed_float16"). `on_cpu` is
    true if the network will be trained on the CPU. The output layer keeps its policy. Layers
    without a faster form are copied as they are.
    """
    output = network.layers[-1]
    batched = on_cpu and precision == "mixed_bfloat16"

    def copy(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        if layer is not output:
            config["dtype"] = precision
        return _fast_class(layer, batched).from_config(config)

    copied = keras.models.clone_model(network, clone_function=copy)
    copied.set_weights(network.get_weights())
    return copied


def _fast_class(layer: layers.Layer, batched: bool) -> type[layers.Layer]:
    if type(layer) is layers.BatchNormalization and layer.axis == -1:
        return FusedBatchNormalization
    if batched and type(layer) is layers.Conv2D and layer.data_format == "channels_last":
        plain = layer.strides == (1, 1) and layer.dilation_rate == (1, 1) and layer.groups == 1
        if plain and max(layer.input.shape[1:3]) <= LARGEST_MAP:
            return BatchedGradientConv2D
    return type(layer)
