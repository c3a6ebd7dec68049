"""The other reference peer: one of the 15 CNNs of the best documented Kaggle score without leaks.

Chris Deotte, "25 Million Images! [0.99757] MNIST" (Kaggle, 2018): seven convolutions, each with
batch normalization after its ReLU, the same augmentation as the notebook's, 45 epochs, each net on
nine tenths of the rows. His ensemble adds up the outputs of 15 of them.
"""

import keras
from keras import layers
from keras.callbacks import Callback, LearningRateScheduler

from pipeline.networks import CLASSES, INPUT_SHAPE

EPOCHS = 45
HELD_OUT = 0.1


def compiled_network() -> keras.Model:
    """One net with its optimiser."""
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
    """The net's schedule."""
    return [LearningRateScheduler(lambda epoch, rate: 1e-3 * 0.95**epoch)]


def _normalized(layer: layers.Layer) -> list[layers.Layer]:
    return [layer, layers.BatchNormalization()]
