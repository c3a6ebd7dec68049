"""The other reference peer: one of the 15 CNNs with the best documented Kaggle score without leaks.

Chris Deotte, "25 Million Images! [0.99757] MNIST" (Kaggle, 2018). Seven convolutions, each with
batch normalization after its ReLU, are trained for 45 epochs on nine tenths of the rows, with the
notebook's augmentation. His ensemble is the sum of the outputs of 15 such networks.
"""

import keras
from keras import layers
from keras.callbacks import Callback, LearningRateScheduler

from pipeline.networks import CLASSES, INPUT_SHAPE

EPOCHS = 45
HELD_OUT = 0.1


def compiled_network() -> keras.Model:
    """Return one network with its optimiser."""
    network = keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            *_normalized(layers.Conv2D(32, 3, activation="relu")),
            *_normalized(layers.Conv2D(32, 3, activation="relu")),
            *_normalized(layers.Conv2D(32, 5, strides=2, padding="same", activation="relu")),
            layers.Dropout(0.4),
            *_normalized(layers.Conv2D(64, 3, activation="relu")),
            *_normalized(layers.Conv2D(64, 3, activation="relu")),
            *_normalized(layers.Conv2D(64, 5, strides=2, padding="same", activation="relu")),
            layers.Dropout(0.4),
            *_normalized(layers.Conv2D(128, 4, activation="relu")),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def callbacks() -> list[Callback]:
    """Return the learning rate schedule."""
    return [LearningRateScheduler(lambda epoch, rate: 1e-3 * 0.95**epoch)]


def _normalized(layer: layers.Layer) -> list[layers.Layer]:
    return [layer, layers.BatchNormalization()]
