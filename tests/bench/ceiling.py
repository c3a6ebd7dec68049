"""The highest rates that this machine reaches in arithmetic and in memory, one operation each."""

import time

import numpy as np
import tensorflow as tf

SIDE = 3072
"""Rows and columns of the matrices: 58 GFLOP per product, which takes some tenths of a second."""

COPY_BYTES = 1 << 29
"""Far more than a cache holds."""

FLOPS_PER_IMAGE = 157e6
"""The default network's, forward and backward: 26.2 million multiply-adds times 2 times 3."""


def arithmetic(dtype: str) -> float:
    """Return the floating-point operations per second of one matrix product in TensorFlow."""
    generator = np.random.default_rng(0)
    left, right = (
        tf.cast(tf.constant(generator.random((SIDE, SIDE), np.float32)), dtype) for _ in range(2)
    )
    started = time.perf_counter()
    tf.matmul(left, right).numpy()
    return 2 * SIDE**3 / (time.perf_counter() - started)


def memory() -> float:
    """Return the bytes per second that a copy in memory reads and writes, on one core."""
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.empty_like(source)
    np.copyto(target, source)
    started = time.perf_counter()
    np.copyto(target, source)
    return 2 * COPY_BYTES / (time.perf_counter() - started)
