"""The other reference peer: one of the 15 CNNs, in plain Keras as its author trains it.

Chris Deotte, "25 Million Images! [0.99757] MNIST" (Kaggle, 2018). The network is trained for 45
epochs on nine tenths of the rows, with the notebook's augmentation. His ensemble is the sum of the
outputs of 15 such networks. The recipe `fifteen` is our own training of all of them.
"""

import keras
from keras.callbacks import Callback, LearningRateScheduler

from pipeline import networks

EPOCHS = 45
HELD_OUT = 0.1


def compiled_network() -> keras.Model:
    """Return one network with its optimiser."""
    network = networks.build("fifteen_cnn")
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def callbacks() -> list[Callback]:
    """Return the learning rate schedule."""
    return [LearningRateScheduler(lambda epoch, rate: 1e-3 * 0.95**epoch)]
