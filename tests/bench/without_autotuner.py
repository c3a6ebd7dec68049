"""A reference peer with tf.data's autotuner off: how much of its time is waiting for that.

Takes the arguments of tests.bench.peer. Keras 3.15 has no setting for it, but for generators that
it takes batches from with several workers, so every dataset that it makes is given the option.
"""

from collections.abc import Callable

import tensorflow as tf

from tests.bench import peer

SOURCES = ("from_generator", "from_tensor_slices", "range")
"""What Keras 3 begins its datasets with; those made of them inherit the option."""


def _untuned(create: Callable[..., tf.data.Dataset]) -> Callable[..., tf.data.Dataset]:
    def made(*arguments: object, **named: object) -> tf.data.Dataset:
        options = tf.data.Options()
        options.autotune.enabled = False
        return create(*arguments, **named).with_options(options)

    return made


if __name__ == "__main__":
    for name in SOURCES:
        setattr(tf.data.Dataset, name, staticmethod(_untuned(getattr(tf.data.Dataset, name))))
    peer.main()
