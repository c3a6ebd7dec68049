"""The batches of a training and of its validation, as tf.data datasets.

The order of rows and the warps of an epoch are functions of (seed, member, epoch, position) alone:
a run can be repeated, and continued at any epoch with the same data.
"""

import math

import numpy as np
import tensorflow as tf

from pipeline.data.digits import Digits
from pipeline.networks import scale
from pipeline.recipe import Recipe
from pipeline.training.augmentation import ENGINES, Engine

VALIDATION_BATCH = 250
"""Rows per step of validation. It changes no result, and larger batches measured no faster."""

WARP_THREADS = 2
"""Batches warped at the same time, in order. Two keep ahead of the training step (`make bench`)."""


def steps_per_epoch(recipe: Recipe, rows: int) -> int:
    """Return the number of batches per epoch for `rows` training rows. The last may be smaller."""
    return math.ceil(rows / recipe.training.batch_size)


def training_dataset(
    recipe: Recipe, rows: Digits, member: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Return the batches of all epochs from `first_epoch`, which counts from 0, one after another.

    Yields float32 images [b, 28, 28, 1] in [0, 1] and labels [b]. An epoch has
    ceil(n / batch size) batches and sees every row once.
    """
    engine = ENGINES[recipe.augmentation.engine](recipe.augmentation.model_dump(exclude={"engine"}))
    count, size = len(rows.labels), recipe.training.batch_size
    images, labels = tf.constant(rows.images), tf.constant(rows.labels)

    def plan(epoch: np.int64) -> tuple[np.ndarray, np.ndarray]:
        return epoch_plan(engine, count, recipe.seed, member, int(epoch))

    def batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order, warps = tf.numpy_function(plan, [epoch], (tf.int64, tf.float32))
        order, warps = tf.ensure_shape(order, [count]), tf.ensure_shape(warps, [count, 6])

        def batch(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            chosen = order[start : start + size]
            pixels = scale(tf.gather(images, chosen))
            return engine.apply(pixels, warps[start : start + size]), tf.gather(labels, chosen)

        starts = tf.data.Dataset.range(0, count, size)
        return starts.map(batch, num_parallel_calls=WARP_THREADS)

    epochs = tf.data.Dataset.range(first_epoch, recipe.training.epochs)
    return _without_autotuner(epochs.flat_map(batches).prefetch(8))


def epoch_plan(
    engine: Engine, count: int, seed: int, member: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return an epoch's order of rows, int64 [count], and its warps, float32 [count, 6].

    Both are functions of (seed, member, epoch). Position i trains on row order[i], warped by
    warps[i].
    """
    generator = np.random.default_rng([seed, member, epoch])
    return generator.permutation(count), engine.sample(generator, count)


def validation_dataset(rows: Digits) -> tf.data.Dataset:
    """Return the rows in order and unwarped: float32 images in [0, 1] and labels, in batches."""
    dataset = tf.data.Dataset.from_tensor_slices((rows.images, rows.labels))
    dataset = dataset.batch(VALIDATION_BATCH).map(lambda images, labels: (scale(images), labels))
    return _without_autotuner(dataset.prefetch(2))


def _without_autotuner(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Switch tf.data's autotuner off. In 2.21 it delays the end of epochs by many seconds."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)
