"""A checkpoint's probabilities, in the fastest form that gives the same labels.

Bfloat16 has 8 bits of precision: enough where a network is sure of a label, not where two labels
are close. So rows in doubt are predicted again in float32.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.folding import fold
from pipeline.networks import scale

BATCH = 250
"""Rows per step: it changes no result; of 100 to 1,000 none measured faster."""

DOUBT = 0.5
"""A row is in doubt where its highest probability leads the second by less than this.

Bfloat16 moved no probability by more than a tenth of it (`make bench` reports the largest change
among the rows that stay, and how many labels differ from float32's).
"""


def load_checkpoint(path: Path) -> keras.Sequential:
    """Return the network in a checkpoint file. Raises PipelineError if it cannot be loaded."""
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        detail = str(error).splitlines()[0]
        raise PipelineError(
            f"checkpoint {path} cannot be loaded ({detail}); train the run again with FORCE=1"
        ) from None


def probabilities(
    network: keras.Sequential, images: NDArray[np.uint8], precision: str = "float32"
) -> NDArray[np.float32]:
    """Return a network's probabilities, float32 [n, 10], for images uint8 [n, 28, 28, 1], n > 0.

    `precision` is the Keras dtype policy for rows that are not in doubt.
    """
    found = _run(fold(network, precision), images)
    if precision != "float32":
        second, first = np.partition(found, -2)[:, -2:].T
        doubtful = np.flatnonzero(first - second < DOUBT)
        if len(doubtful):
            found[doubtful] = _run(fold(network, "float32"), images[doubtful])
    return found


def _run(network: keras.Sequential, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Predict in compiled steps: `Model.predict` on arrays waits for tf.data's autotuner."""

    @tf.function(input_signature=[tf.TensorSpec((None, *images.shape[1:]), tf.uint8)])
    def step(pixels: tf.Tensor) -> tf.Tensor:
        return network(scale(pixels), training=False)

    # Called itself, TensorFlow would warn that every checkpoint is traced anew.
    step = step.get_concrete_function()
    starts = range(0, len(images), BATCH)
    return np.concatenate(
        [step(tf.constant(images[start : start + BATCH])).numpy() for start in starts]
    )
