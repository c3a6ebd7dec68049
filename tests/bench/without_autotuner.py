"""Trains a reference peer with tf.data's autotuner off, to show how long the peer waits for it.

It takes the arguments of tests.bench.peer. Keras 3.15 can switch the autotuner off only for
generators that several workers read. So here every dataset that Keras makes gets the option.
"""

from collections.abc import Callable

import tensorflow as tf

from tests.bench import peer

SOURCES = ("from_generator", "from_tensor_slices", "range")
"""The functions that Keras 3 makes datasets with. Datasets made from those inherit the option."""


def _without_autotuner(create: Callable[..., tf.data.Dataset]) -> Callable[..., tf.data.Dataset]:
    def create_untuned(*arguments: object, **keywords: object) -> tf.data.Dataset:
        options = tf.data.Options()
        options.autotune.enabled = False
        return create(*arguments, **keywords).with_options(options)

    return create_untuned


if __name__ == "__main__":
    for name in SOURCES:
        create = getattr(tf.data.Dataset, name)
        setattr(tf.data.Dataset, name, staticmethod(_without_autotuner(create)))
    peer.main()
