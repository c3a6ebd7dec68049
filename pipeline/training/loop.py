"""One member: digits and a recipe in, checkpoints and a history out.

The order of rows and the warps of an epoch are functions of (seed, member, epoch, position)
alone: a run can be repeated, and continued at any epoch with the same data.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline import networks
from pipeline.common.errors import PipelineError
from pipeline.data.digits import Digits
from pipeline.networks import scale
from pipeline.networks.fast_layers import accelerate
from pipeline.recipe import Recipe
from pipeline.runs import RESUME_FILE, Member
from pipeline.training import resume
from pipeline.training.augmentation import ENGINES, Engine
from pipeline.training.callbacks import (
    FiniteLoss,
    HistoryFile,
    KeptCheckpoints,
    LearningRate,
    MemberRecord,
    ProgressReport,
    Watcher,
)
from pipeline.training.hardware import Hardware
from pipeline.training.objective import compile_network, learning_rate
from pipeline.training.resume import ResumePoint

VALIDATION_BATCH = 250
"""Rows per step of validation: it changes no result, and larger batches measured no faster."""

WARP_THREADS = 2
"""Batches warped at the same time, in order: two keep ahead of the training step (`make bench`)."""


def train_member(
    recipe: Recipe,
    training: Digits,
    validation: Digits,
    folder: Path,
    hardware: Hardware,
    watcher: Watcher,
    member: Member | None = None,
) -> None:
    """Train one member of a run, or go on with it where a process before this one stopped.

    `folder` receives history.csv, checkpoints/ and, until the member is done, resume.npz, from
    which its next epoch is the very one that would have come, in the precision it began with.
    `watcher` is told of the member as far as it has come at the end of every epoch, so that
    nothing is lost if the process ends; `member` is its record so far, by default that of a run's
    first one. Raises PipelineError for an unknown network or too little memory, DivergedError for
    a loss that is infinite or NaN.
    """
    member = member or Member(index=0, seed=recipe.seed, status="pending")
    path = folder / RESUME_FILE
    saved = resume.read(path, member)
    if saved:
        hardware = replace(hardware, precision=saved.precision)
    plain = _first_network(recipe, member)
    steps = steps_per_epoch(recipe, len(training.labels))
    rate = learning_rate(recipe, steps * recipe.training.epochs)
    fast = accelerate(plain, hardware.precision, on_cpu=not hardware.gpus)
    network = compile_network(fast, recipe.training, rate, hardware.xla)
    checkpoints = KeptCheckpoints(folder / "checkpoints", plain, recipe.checkpoints)
    schedule, history = _schedule(recipe), HistoryFile(folder / "history.csv")
    record = MemberRecord(member, checkpoints, watcher)
    point = ResumePoint(path, saved, hardware.precision, schedule, checkpoints, history, record)
    point.restore_files()
    watcher.began(hardware.describe(), point.epoch, steps)
    if point.epoch < recipe.training.epochs and not point.stopped:
        # An epoch is told as saved once the resume point has saved it.
        last = [point, ProgressReport(watcher)]
        first = [FiniteLoss(), LearningRate(rate)]
        callbacks = [*first, *schedule, checkpoints, history, record, *last]
        _fit(network, recipe, training, validation, member.index, callbacks, point.epoch)
    record.tell(len(history.rows), "done")
    path.unlink(missing_ok=True)


def _first_network(recipe: Recipe, member: Member) -> keras.Model:
    """Return the member's network with its first weights, plain and uncompiled."""
    keras.utils.clear_session()  # lets go of a network trained before in this process
    keras.utils.set_random_seed(_seed(recipe.seed, member))
    chosen = recipe.network
    return networks.build(chosen.name, chosen.rates, chosen.pixel_maximum)


def steps_per_epoch(recipe: Recipe, rows: int) -> int:
    """Return the number of batches that so many training rows are, the last one often smaller."""
    return math.ceil(rows / recipe.training.batch_size)


def _fit(
    network: keras.Model,
    recipe: Recipe,
    training: Digits,
    validation: Digits,
    index: int,
    callbacks: list[keras.callbacks.Callback],
    first: int,
) -> None:
    """Train from the epoch `first`, counted from 0, on."""
    with _memory_failures(recipe):
        network.fit(
            training_dataset(recipe, training, index, first),
            steps_per_epoch=steps_per_epoch(recipe, len(training.labels)),
            initial_epoch=first,
            epochs=recipe.training.epochs,
            validation_data=validation_dataset(validation),
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )


@contextmanager
def _memory_failures(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise PipelineError(
            f"training.batch_size is {recipe.training.batch_size}, for which this device has too "
            'little memory; lower it (SET="training.batch_size=32")'
        ) from None


def training_dataset(
    recipe: Recipe, rows: Digits, member: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Return the batches of all epochs from `first_epoch` on, one after another.

    Yields float32 images [b, 28, 28, 1] in [0, 1] and labels [b]; an epoch has
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
    return _without_autotune(epochs.flat_map(batches).prefetch(8))


def epoch_plan(
    engine: Engine, count: int, seed: int, member: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return an epoch's order of rows, int64 [count], and its warps, float32 [count, 6].

    Both are functions of (seed, member, epoch): position i trains on row order[i], warped by
    warps[i].
    """
    generator = np.random.default_rng([seed, member, epoch])
    return generator.permutation(count), engine.draw(generator, count)


def validation_dataset(rows: Digits) -> tf.data.Dataset:
    """Return the rows in order, unwarped: float32 images in [0, 1] and labels, in batches."""
    dataset = tf.data.Dataset.from_tensor_slices((rows.images, rows.labels))
    dataset = dataset.batch(VALIDATION_BATCH).map(lambda images, labels: (scale(images), labels))
    return _without_autotune(dataset.prefetch(2))


def _without_autotune(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Switch tf.data's autotuner off: in 2.21 it holds up the end of epochs for many seconds."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)


def _schedule(recipe: Recipe) -> list[keras.callbacks.Callback]:
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


def _seed(seed: int, member: Member) -> int:
    """Return Keras's global seed for a member, 32 bits, independent between members and draws."""
    return int(np.random.SeedSequence([seed, member.index, member.draw]).generate_state(1)[0])
