"""The reference peer: the code of the "bn_cnn" notebook in plain Keras, as its author wrote it.

ImageDataGenerator.flow feeds `fit` in batches of 64, with Keras's own layers and nothing tuned.
The port to Keras 3 leaves out steps_per_epoch, with which every second epoch would end after one
batch. It also leaves out ModelCheckpoint and the mean of five checkpoints, which the benchmark
`inference` measures.
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
    """Return the notebook's augmentation."""
    return ImageDataGenerator(
        rotation_range=10, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1
    )


def flow(images: NDArray[np.float32], labels: NDArray[np.uint8]) -> keras.utils.PyDataset:
    """Return the notebook's batches of images [n, 28, 28, 1] in [0, 1] and labels [n]."""
    return generator().flow(images, labels, batch_size=BATCH)


def compiled_network() -> keras.Model:
    """Return the notebook's network with its optimiser."""
    network = networks.build("bn_cnn")
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def callbacks() -> list[Callback]:
    """Return the notebook's learning rate schedule and early stopping."""
    return [
        ReduceLROnPlateau(monitor="val_accuracy", mode="max", patience=3, factor=0.5, min_lr=1e-5),
        EarlyStopping(monitor="val_loss", patience=10, min_delta=1e-10, restore_best_weights=True),
    ]
