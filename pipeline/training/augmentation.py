"""ImageDataGenerator's random warps, by two engines, and an engine that changes nothing.

`keras` is ImageDataGenerator itself, image by image. `warp` samples from the same distributions
and applies the same warp to a whole batch at once, inside tf.data. For the same parameters both
give the same image within 1e-5 (tests/test_augmentation.py). `none` leaves images as they are.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

# The legacy module is the one documented home of ImageDataGenerator in Keras 3.
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pipeline.data.spec import SPEC

PARAMETERS = ("theta", "tx", "ty", "shear", "zx", "zy")
"""The columns of a parameter array, by ImageDataGenerator's own names.

theta and shear are in degrees, tx and ty in pixels, zx and zy are factors.
"""

Ranges = dict[str, float]
"""ImageDataGenerator's settings: rotation_range, width_shift_range, height_shift_range,
shear_range and zoom_range, in its units. The last four are 0 where not named."""


class Engine(Protocol):
    """Samples warps for a number of images and applies them to batches."""

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Sample `count` warps: float32 [count, 6], with the columns `PARAMETERS`."""
        ...

    def apply(self, images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """Warp float32 images [n, h, w, c], each by its row of `parameters` [n, 6]."""
        ...


class KerasEngine:
    """ImageDataGenerator's own `get_random_transform` and `apply_transform`."""

    def __init__(self, ranges: Ranges, side: int = SPEC.side) -> None:
        self._generator = ImageDataGenerator(**ranges)
        self._shape = (side, side, 1)

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Let ImageDataGenerator sample each warp, seeded by `generator`.

        ImageDataGenerator uses NumPy's global state, which is put back afterwards.
        """
        seeds = generator.integers(2**32, size=count, dtype=np.uint32)
        state = np.random.get_state()
        try:
            warps = [self._generator.get_random_transform(self._shape, int(seed)) for seed in seeds]
        finally:
            np.random.set_state(state)
        return np.array([[warp[name] for name in PARAMETERS] for warp in warps], np.float32)

    def apply(self, images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """Warp each image by ImageDataGenerator.apply_transform."""
        warped = tf.numpy_function(self._apply, (images, parameters), tf.float32, stateful=False)
        return tf.ensure_shape(warped, images.shape)

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        warps = (dict(zip(PARAMETERS, row, strict=True)) for row in parameters.astype(np.float64))
        pairs = zip(images, warps, strict=True)
        return np.stack([self._generator.apply_transform(image, warp) for image, warp in pairs])


class WarpEngine:
    """The same warps, sampled and applied for all images at once."""

    def __init__(self, ranges: Ranges, side: int = SPEC.side) -> None:
        settings = ImageDataGenerator(**ranges)
        shift_x, shift_y = settings.height_shift_range * side, settings.width_shift_range * side
        zoom_low, zoom_high = settings.zoom_range
        rotation, shear = settings.rotation_range, settings.shear_range
        self._low = [-rotation, -shift_x, -shift_y, -shear, zoom_low, zoom_low]
        self._high = [rotation, shift_x, shift_y, shear, zoom_high, zoom_high]

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Sample every parameter uniformly from its range, as get_random_transform does."""
        shape = (count, len(PARAMETERS))
        return generator.uniform(self._low, self._high, shape).astype(np.float32)

    def apply(self, images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """Warp the batch by one bilinear projective transform, filled with the nearest pixel."""
        height, width = images.shape[1:3]
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=_projections(parameters, height, width),
            output_shape=(height, width),
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )


class NoEngine:
    """No warps: images stay as they are."""

    def __init__(self, ranges: Ranges) -> None:
        """Take the ranges, as every engine does, and ignore them."""

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return zeros, which `apply` ignores."""
        return np.zeros((count, len(PARAMETERS)), np.float32)

    def apply(self, images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        """Return the images."""
        return images


def _projections(parameters: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Return the matrices R T S Z about the image's centre as projective rows [n, 8].

    R rotates, T shifts, S shears, Z zooms, multiplied in the order of apply_affine_transform
    (keras/src/legacy/preprocessing/image.py); its matrices act on (x, y), as this operation's do.
    """
    theta, tx, ty, shear, zx, zy = tf.unstack(tf.cast(parameters, tf.float64), axis=1)
    theta, shear = theta * (np.pi / 180), shear * (np.pi / 180)
    cos, sin = tf.cos(theta), tf.sin(theta)
    xx, xy = cos * zx, (-cos * tf.sin(shear) - sin * tf.cos(shear)) * zy
    yx, yy = sin * zx, (-sin * tf.sin(shear) + cos * tf.cos(shear)) * zy
    # ImageDataGenerator takes the number of rows for x and of columns for y; on the square
    # images of this competition that is the same.
    centre_x, centre_y = height / 2 - 0.5, width / 2 - 0.5
    offset_x = cos * tx - sin * ty + centre_x - xx * centre_x - xy * centre_y
    offset_y = sin * tx + cos * ty + centre_y - yx * centre_x - yy * centre_y
    zero = tf.zeros_like(theta)
    rows = tf.stack([xx, xy, offset_x, yx, yy, offset_y, zero, zero], axis=1)
    return tf.cast(rows, tf.float32)


ENGINES: dict[str, Callable[[Ranges], Engine]] = {
    "keras": KerasEngine,
    "warp": WarpEngine,
    "none": NoEngine,
}
