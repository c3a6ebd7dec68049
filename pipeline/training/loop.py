"""The training of one member: digits and a recipe in, events with checkpoints and history out."""

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
from pipeline.networks.fast_layers import accelerate
from pipeline.recipe import Recipe
from pipeline.runs import Member
from pipeline.training.batches import steps_per_epoch, training_dataset, validation_dataset
from pipeline.training.callbacks import EpochHistory, FiniteLoss, KeptCheckpoints, LearningRate
from pipeline.training.events import OnEvent
from pipeline.training.hardware import Hardware
from pipeline.training.objective import compile_network, learning_rate, schedule_callbacks
from pipeline.training.reporter import Reporter
from pipeline.training.resume import ResumePoint, read_saved_state


def train_member(
    recipe: Recipe,
    member: Member,
    training: Digits,
    validation: Digits,
    *,
    hardware: Hardware,
    scratch: Path,
    on_event: OnEvent,
    resume: bytes | None = None,
) -> None:
    """Train one member of a run, or continue it from `resume`, the content of its resume file.

    Every file goes out with an event, so that nothing but the current epoch is lost if the process
    ends. A continued member has the same next epoch that it would have had without the stop, in
    the precision that it began with. `member` is its record so far. `scratch` is a folder for
    files that are being written. Raises PipelineError for an unknown network or too little memory,
    and DivergedError for a loss that is infinite or NaN.
    """
    saved = read_saved_state(resume, member)
    if saved:
        hardware = replace(hardware, precision=saved.state.precision)
    steps = steps_per_epoch(recipe, len(training.labels))
    rate = learning_rate(recipe, steps * recipe.training.epochs)
    plain = _initial_network(recipe, member)
    fast = accelerate(plain, hardware.precision, on_cpu=not hardware.gpus)
    _quicken_moments(fast, steps)
    network = compile_network(fast, recipe.training, rate, hardware.xla)

    checkpoints = KeptCheckpoints(scratch, plain, recipe.checkpoints)
    schedule, history = schedule_callbacks(recipe), EpochHistory()
    point = ResumePoint(member, saved, hardware.precision, schedule, checkpoints, history)
    reporter = Reporter(member, hardware.describe(), steps, point, on_event)
    reporter.begin()
    if point.epoch < recipe.training.epochs and not point.stopped:
        with _clear_memory_errors(recipe):
            network.fit(
                training_dataset(recipe, training, member.index, point.epoch),
                steps_per_epoch=steps,
                initial_epoch=point.epoch,
                epochs=recipe.training.epochs,
                validation_data=validation_dataset(validation),
                callbacks=[
                    FiniteLoss(),
                    LearningRate(rate),
                    *schedule,
                    checkpoints,
                    history,
                    point,
                    reporter,
                ],
                shuffle=False,
                verbose=0,
            )
    reporter.finish()


def _initial_network(recipe: Recipe, member: Member) -> keras.Model:
    """Return the member's network with its initial weights, plain and uncompiled."""
    keras.utils.clear_session()  # frees a network that this process trained before
    # 32 bits, independent between members and attempts.
    entropy = np.random.SeedSequence([recipe.seed, member.index, member.attempt])
    keras.utils.set_random_seed(int(entropy.generate_state(1)[0]))
    settings = recipe.network
    return networks.build(settings.name, settings.dropout_rates, settings.pixel_maximum)


def _quicken_moments(network: keras.Model, steps: int) -> None:
    """Let batch normalization's moving moments catch up within an epoch of `steps` batches.

    They begin as 0 and 1, which still count for momentum ** steps after the first epoch. With
    Keras's 0.99 and few batches, validation would be at chance while training is not. A momentum of
    1 - 5 / steps leaves them less than e ** -5, under 1 %. From 500 batches on, 0.99 stays.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, max(0.0, 1 - 5 / steps))


@contextmanager
def _clear_memory_errors(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise PipelineError(
            f"training.batch_size is {recipe.training.batch_size}, for which this device has too "
            'little memory; lower it (SET="training.batch_size=32")'
        ) from None
