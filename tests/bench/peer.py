"""Trains a reference peer in plain Keras and writes its history and its ensemble's probabilities.

`python -m tests.bench.peer fifteen --digits data/practice --output <folder> --nets 2` reads
train.csv and test.csv. The history.csv of each network holds the val_accuracy and the seconds of
every epoch. The file test.npz holds the mean of the networks' probabilities for test.csv.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common.files import replacing
from pipeline.common.startup import quiet_start
from pipeline.data import digits
from pipeline.data.spec import SPEC
from pipeline.data.split import Split, hold_out
from pipeline.recipe import SplitSettings

with quiet_start():
    import keras

    from tests.bench import fifteen, notebook


@dataclass(frozen=True)
class Peer:
    """The parts in which the peers differ. The loop around them is the same."""

    network: Callable[[], keras.Model]
    callbacks: Callable[[], list[keras.callbacks.Callback]]
    epochs: int
    held_out: float


PEERS = {
    "notebook": Peer(
        notebook.compiled_network, notebook.callbacks, notebook.EPOCHS, notebook.HELD_OUT
    ),
    "fifteen": Peer(fifteen.compiled_network, fifteen.callbacks, fifteen.EPOCHS, fifteen.HELD_OUT),
}


class History(keras.callbacks.Callback):
    """Writes history.csv after every epoch: epoch, val_accuracy, and the epoch's wall seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.rows, self.started = path, list[dict[str, float]](), 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the epoch's clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the epoch's row."""
        seconds, accuracy = time.perf_counter() - self.started, (logs or {})["val_accuracy"]
        self.rows.append({"epoch": epoch + 1, "val_accuracy": accuracy, "seconds": seconds})
        with replacing(self.path) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)


def train(
    peer: Peer, rows: digits.Digits, split: Split, seed: int, epochs: int, folder: Path
) -> keras.Model:
    """Train one network as its author does: scaled float arrays, `flow`, `fit`."""
    keras.utils.set_random_seed(seed)
    scaled = (rows.images / 255).astype(np.float32)
    train_rows, validation_rows = split.train_rows, split.validation_rows
    network = peer.network()
    network.fit(
        notebook.flow(scaled[train_rows], rows.labels[train_rows]),
        epochs=epochs,
        validation_data=(scaled[validation_rows], rows.labels[validation_rows]),
        callbacks=[*peer.callbacks(), History(folder / "history.csv")],
        verbose=0,
    )
    return network


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--nets", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="default: the peer's own number")
    parser.add_argument(
        "--default-split",
        action="store_true",
        help="hold out the rows that the recipes hold out, not those of the peer's own split",
    )
    return parser.parse_args()


def main() -> None:
    """Train the networks one after another. Network k has seed + k, and its own split.

    With --default-split all networks have the split of the recipes.
    """
    arguments = _arguments()
    peer = PEERS[arguments.peer]
    rows = digits.read_train(arguments.digits / "train.csv")
    tests: NDArray[np.float64] = digits.read_test(arguments.digits / "test.csv") / 255
    total = np.zeros((len(tests), SPEC.classes))
    for number in range(arguments.nets):
        seed = arguments.seed + number
        default = SplitSettings()
        fraction, split_seed = (
            (default.validation_fraction, default.seed)
            if arguments.default_split
            else (peer.held_out, seed)
        )
        split = hold_out(rows.labels, fraction, split_seed, "")
        folder = arguments.output / str(number)
        network = train(peer, rows, split, seed, arguments.epochs or peer.epochs, folder)
        total += network.predict(tests, verbose=0)
        with replacing(arguments.output / "test.npz") as temporary:
            np.savez(temporary, probabilities=total / (number + 1), nets=number + 1)


if __name__ == "__main__":
    main()
