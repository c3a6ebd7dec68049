"""The reference peer: the "bn_cnn" notebook's code path in plain Keras, as its author wrote it.

ImageDataGenerator.flow feeds `fit`, batch 64, Keras's own layers, nothing tuned. Ported to Keras 3
by leaving out steps_per_epoch, which there makes every second epoch end after one batch. Left out
too: ModelCheckpoint and the mean of five checkpoints, which the bench measures by itself.
"""

import keras
import numpy as np
from keras.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from numpy.typing import NDArray
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pipeline import networks

BATCH = 64
EPOCHS = 50
HELD_OUT = 0.15


def generator() -> ImageDataGenerator:
    """The notebook's augmentation."""
    return ImageDataGenerator(
        rotation_range=10, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1
    )


def flow(images: NDArray[np.float32], labels: NDArray[np.uint8]) -> keras.utils.PyDataset:
    """The notebook's batches of float images [n, 28, 28, 1] in [0, 1]."""
    return generator().flow(images, labels, batch_size=BATCH)


def compiled_network() -> keras.Model:
    """The notebook's network and optimiser."""
    network = networks.build("bn_cnn")
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def callbacks() -> list[Callback]:
    """The notebook's schedule."""
    return [
        ReduceLROnPlateau(monitor="val_accuracy", mode="max", patience=3, factor=0.5, min_lr=1e-5),
        EarlyStopping(monitor="val_loss", patience=10, min_delta=1e-10, restore_best_weights=True),
    ]
