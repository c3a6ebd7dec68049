"""Train a reference peer in plain Keras and write what it reached, epoch by epoch.

`python -m tests.bench.peer fifteen --digits data/practice --output <folder> --nets 2` reads
train.csv and test.csv. Each net's history.csv holds val_accuracy and seconds of every epoch;
test.npz holds the mean of the nets' probabilities for test.csv, the peer's ensemble.
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
    """What sets a peer apart; the loop around it is the same."""

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


class Clock(keras.callbacks.Callback):
    """Writes history.csv after every epoch: epoch, val_accuracy, and its seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.rows, self.started = path, list[dict[str, float]](), 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the epoch's clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the epoch's row."""
        seconds, reached = time.perf_counter() - self.started, (logs or {})["val_accuracy"]
        self.rows.append({"epoch": epoch + 1, "val_accuracy": reached, "seconds": seconds})
        with replacing(self.path) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)


def train(
    peer: Peer, rows: digits.Digits, split: Split, seed: int, epochs: int, folder: Path
) -> keras.Model:
    """Train one net as its author does: scaled float arrays, `flow`, `fit`."""
    keras.utils.set_random_seed(seed)
    scaled = (rows.images / 255).astype(np.float32)
    train_rows, validation_rows = split.train_rows, split.validation_rows
    network = peer.network()
    network.fit(
        notebook.flow(scaled[train_rows], rows.labels[train_rows]),
        epochs=epochs,
        validation_data=(scaled[validation_rows], rows.labels[validation_rows]),
        callbacks=[*peer.callbacks(), Clock(folder / "history.csv")],
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
    parser.add_argument("--epochs", type=int, help="default: the peer's own")
    parser.add_argument(
        "--default-split",
        action="store_true",
        help="hold out the rows that the recipes do, not those of the peer's own split",
    )
    return parser.parse_args()


def main() -> None:
    """Train the nets one after another; net k has seed + k, and fifteen's a split of its own."""
    asked = _arguments()
    peer = PEERS[asked.peer]
    rows = digits.read_train(asked.digits / "train.csv")
    tests: NDArray[np.float64] = digits.read_test(asked.digits / "test.csv") / 255
    total = np.zeros((len(tests), SPEC.classes))
    for net in range(asked.nets):
        seed = asked.seed + net
        default = SplitSettings()
        part, split_seed = (
            (default.validation_fraction, default.seed)
            if asked.default_split
            else (peer.held_out, seed)
        )
        split = hold_out(rows.labels, part, split_seed, "")
        folder = asked.output / str(net)
        network = train(peer, rows, split, seed, asked.epochs or peer.epochs, folder)
        total += network.predict(tests, verbose=0)
        with replacing(asked.output / "test.npz") as temporary:
            np.savez(temporary, probabilities=total / (net + 1), nets=net + 1)


if __name__ == "__main__":
    main()
