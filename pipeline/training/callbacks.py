"""The Keras callbacks of a member in training.

Keras's own ReduceLROnPlateau, EarlyStopping and ModelCheckpoint do what they are known for.
"""

import math
import shutil
import time
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from pipeline.common.errors import DivergedError
from pipeline.recipe import CheckpointSettings
from pipeline.runs import CHECKPOINTS_FOLDER, Checkpoint
from pipeline.training.events import Files

Logs = dict[str, Any] | None

HISTORY_COLUMNS = [
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
]


class FiniteLoss(keras.callbacks.Callback):
    """Ends training with a DivergedError when the loss of an epoch is infinite or NaN.

    It must be the first callback, so that no other one keeps such an epoch.
    """

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Check the training loss and the validation loss of the epoch."""
        for name in ("loss", "val_loss"):
            value = (logs or {})[name]
            if not math.isfinite(value):
                raise DivergedError(
                    f"{name} became {value} in epoch {epoch + 1}, where it must be finite; lower "
                    'training.learning_rate (SET="training.learning_rate=0.0003")'
                )


class LearningRate(keras.callbacks.Callback):
    """Adds the learning rate of the epoch's last step to its figures, as `learning_rate`.

    Keras's ReduceLROnPlateau does so too, but not every recipe uses it. This callback must come
    before any that changes the rate. `rate` is the optimiser's: a number, or a schedule by steps.
    """

    def __init__(self, rate: float | keras.optimizers.schedules.LearningRateSchedule) -> None:
        super().__init__()
        self._rate = rate

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the rate to the figures that the later callbacks see."""
        if logs is None:
            return
        optimizer = self.model.optimizer
        if isinstance(self._rate, float):
            logs["learning_rate"] = float(optimizer.learning_rate)
        else:  # the optimiser's own is the rate of the next step
            logs["learning_rate"] = float(self._rate(optimizer.iterations - 1))


class KeptCheckpoints(keras.callbacks.Callback):
    """Keeps the best epochs and the last ones, each as a file that Keras's ModelCheckpoint writes.

    `settings` gives the number of either. The best epochs have the highest val_accuracy, equal
    ones ordered by val_loss. ModelCheckpoint gives the file its name and its content and raises
    where val_accuracy is missing. Its `save_best_only`, which keeps one epoch, is not used.

    It saves `plain`, the float32 network of Keras's own layers, which takes over the weights of
    the network in training. So a checkpoint holds no optimiser state and needs no class of this
    package. With mixed precision the accuracy in the name, which is that of the network in
    training, may differ from the file's by a row or two. `scratch` is a folder for the file while
    it is written.
    """

    def __init__(self, scratch: Path, plain: keras.Model, settings: CheckpointSettings) -> None:
        super().__init__()
        self.kept: list[Checkpoint] = []
        self.new_file: Files = {}
        """The last epoch's checkpoint by its path in the member's folder. Empty if not kept."""
        self._plain = plain
        self._settings = settings
        self._folder = scratch / "checkpoint"
        name = "epoch-{epoch:03d}-val_accuracy-{val_accuracy:.5f}.keras"
        # The metric in the name makes ModelCheckpoint raise where the metric is missing.
        self._writer = keras.callbacks.ModelCheckpoint(
            self._folder / name, monitor="val_accuracy", mode="max"
        )
        self._writer.set_model(plain)

    @property
    def parameters(self) -> int:
        """The number of the network's weights."""
        return int(self._plain.count_params())

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save the epoch if it is among those to keep so far."""
        logs, self.new_file = logs or {}, {}
        candidate = Checkpoint(
            file="unsaved.keras",
            epoch=epoch + 1,
            val_accuracy=logs["val_accuracy"],
            val_loss=logs["val_loss"],
        )
        self.kept = self._choose([*self.kept, candidate])
        if candidate in self.kept:
            candidate.file = self._save(epoch, logs)

    def _choose(self, epochs: list[Checkpoint]) -> list[Checkpoint]:
        """Return the checkpoints that the settings keep, best first."""
        ranked = sorted(epochs, key=lambda one: (-one.val_accuracy, one.val_loss, one.epoch))
        first_of_last = max(one.epoch for one in epochs) - self._settings.keep_last + 1
        return [
            one
            for rank, one in enumerate(ranked)
            if rank < self._settings.keep_best or one.epoch >= first_of_last
        ]

    def _save(self, epoch: int, logs: dict[str, Any]) -> str:
        """Have ModelCheckpoint write the plain network. Return the file's name."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._plain.set_weights(self.model.get_weights())
        self._writer.on_epoch_end(epoch, logs)
        (path,) = self._folder.iterdir()
        self.new_file = {f"{CHECKPOINTS_FOLDER}/{path.name}": path.read_bytes()}
        shutil.rmtree(self._folder)
        return path.name


class EpochHistory(keras.callbacks.Callback):
    """Keeps one row per epoch, with the columns `HISTORY_COLUMNS`. Epochs count from 1.

    `learning_rate` is that of the epoch's last step. LearningRate adds it and must come earlier in
    the list of callbacks. `seconds` is the wall time of the epoch with its validation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start the epoch's clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the epoch's row."""
        seconds = round(time.perf_counter() - self._started, 3)
        self.rows.append({**(logs or {}), "epoch": epoch + 1, "seconds": seconds})

    def csv(self) -> bytes:
        """Return the content of history.csv."""
        text: str = pd.DataFrame(self.rows)[HISTORY_COLUMNS].to_csv(index=False)
        return text.encode()
