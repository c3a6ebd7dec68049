"""What watches a member train: checkpoints, history file, progress.

All of them are Keras callbacks; Keras's own ReduceLROnPlateau and EarlyStopping are used as they
are (training.py).
"""

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import pandas as pd

from pipeline.common.errors import DivergedError
from pipeline.common.files import publish, replacing
from pipeline.recipe import CheckpointSettings
from pipeline.runs import Checkpoint, Member, Status, remove_strays

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


class KeptCheckpoints(keras.callbacks.ModelCheckpoint):
    """ModelCheckpoint that keeps the best epochs and the last ones, each as a file of its own.

    `settings` say how many of each. The best are those of the highest val_accuracy, equal ones
    ordered by validation loss. Each file is written whole in a hidden folder beside the others
    and then moved, so that a file in `folder` is always a complete one. The files hold `plain`,
    the float32 network of plain Keras layers, which takes over the weights of the one in
    training; the optimiser's state is not in them. The accuracy in the name is that of the
    network in training: with mixed precision it may differ from the file's by a row or two.

    The metric stands in the file name, because ModelCheckpoint raises for an unknown metric
    there and merely warns for an unknown `monitor`.
    """

    def __init__(self, folder: Path, plain: keras.Model, settings: CheckpointSettings) -> None:
        self.kept: list[Checkpoint] = []
        self._replaced: list[Checkpoint] = []
        self._folder = folder
        self._partial = folder / ".partial"
        self._plain = plain
        self._settings = settings
        folder.mkdir(parents=True, exist_ok=True)
        name = "epoch-{epoch:03d}-val_accuracy-{val_accuracy:.5f}.keras"
        super().__init__(self._partial / name, monitor="val_accuracy", mode="max")

    @property
    def parameters(self) -> int:
        """The number of the network's weights."""
        return int(self._plain.count_params())

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save the epoch if it is to be kept so far; those it replaces are kept no more."""
        logs = logs or {}
        candidate = Checkpoint(
            file="",
            epoch=epoch + 1,
            val_accuracy=logs["val_accuracy"],
            val_loss=logs["val_loss"],
        )
        kept = self._choose([*self.kept, candidate])
        if candidate in kept:
            candidate.file = self._save(epoch, logs)
        self._replaced += [one for one in self.kept if one not in kept]
        self.kept = kept

    def remove_strays(self) -> None:
        """Delete the files of epochs that are not kept; call it once no record names them."""
        remove_strays(self._folder, self.kept)

    def remove_replaced(self) -> None:
        """Delete the files that are no longer kept; call it once no record names them."""
        while self._replaced:
            (self._folder / self._replaced.pop().file).unlink(missing_ok=True)

    def _choose(self, epochs: list[Checkpoint]) -> list[Checkpoint]:
        """Return those of `epochs` that the settings keep, best first."""
        ranked = sorted(epochs, key=lambda one: (-one.val_accuracy, one.val_loss, one.epoch))
        first_of_last = max(one.epoch for one in epochs) - self._settings.keep_last + 1
        return [
            one
            for rank, one in enumerate(ranked)
            if rank < self._settings.keep_best or one.epoch >= first_of_last
        ]

    def _save(self, epoch: int, logs: dict[str, Any]) -> str:
        """Have ModelCheckpoint save the plain network, move the file, return its name."""
        shutil.rmtree(self._partial, ignore_errors=True)
        trained = self.model
        self._plain.set_weights(trained.get_weights())
        self.set_model(self._plain)
        try:
            super().on_epoch_end(epoch, logs)
        finally:
            self.set_model(trained)
        (written,) = self._partial.iterdir()
        publish(written, self._folder / written.name)
        self._partial.rmdir()
        return written.name


class LearningRate(keras.callbacks.Callback):
    """Adds the rate of the epoch's last step to its figures, as `learning_rate`.

    Of Keras's callbacks ReduceLROnPlateau does so, but not every recipe uses it. This one comes
    before any that changes the rate. `rate` is the optimiser's: a number, or a schedule by steps.
    """

    def __init__(self, rate: float | keras.optimizers.schedules.LearningRateSchedule) -> None:
        super().__init__()
        self._rate = rate

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the rate to the figures that the later callbacks see."""
        if logs is not None:
            optimizer = self.model.optimizer
            if isinstance(self._rate, float):
                logs["learning_rate"] = float(optimizer.learning_rate)
            else:  # the optimiser's own is that of the step to come
                logs["learning_rate"] = float(self._rate(optimizer.iterations - 1))


class HistoryFile(keras.callbacks.Callback):
    """Writes one row an epoch to history.csv, columns as in HISTORY_COLUMNS, epochs from 1.

    `learning_rate` is that of the epoch's last step; LearningRate, which reports it, must
    come earlier in the list of callbacks. `seconds` is the wall time of the epoch with its
    validation.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._path = path
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start the epoch's clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the epoch's row and rewrite the file, wholly or not at all."""
        seconds = round(time.perf_counter() - self._started, 3)
        self.rows.append({**(logs or {}), "epoch": epoch + 1, "seconds": seconds})
        self._write()

    def restore(self, rows: list[dict[str, float]]) -> None:
        """Go on from these rows, and rewrite the file with them."""
        self.rows = rows
        self._write()

    def _write(self) -> None:
        with replacing(self._path) as temporary:
            pd.DataFrame(self.rows)[HISTORY_COLUMNS].to_csv(temporary, index=False)


class Watcher(Protocol):
    """Is told what a member in training does, on the thread that trains it."""

    def began(self, device: str, epoch: int, steps: int) -> None:
        """Training goes on after `epoch` epochs, in `steps` steps each, on `device`."""

    def stepped(self, epoch: int, step: int) -> None:
        """Of epoch `epoch`, from 1, `step` steps are done."""

    def kept(self, member: Member) -> None:
        """The member has come so far; its checkpoints are written, its resume file is not yet."""

    def saved(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Epoch `epoch`, from 1, is over and wholly saved, with Keras's `metrics`."""


class MemberRecord(keras.callbacks.Callback):
    """Tells the watcher of the member as far as it has come, at the end of every epoch.

    It comes after `checkpoints` in the list of callbacks, whose kept files it reports.
    `seconds_before` are those of an earlier process that this one continues.
    """

    def __init__(self, member: Member, checkpoints: KeptCheckpoints, watcher: Watcher) -> None:
        super().__init__()
        self.seconds_before = 0.0
        self._member = member
        self._checkpoints = checkpoints
        self._watcher = watcher
        self._started = time.perf_counter()

    @property
    def draw(self) -> int:
        """How often the member began anew with other first weights."""
        return self._member.draw

    @property
    def seconds(self) -> float:
        """The wall time of the member's training so far."""
        return round(self.seconds_before + time.perf_counter() - self._started, 1)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start the member's clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Describe the member after this epoch."""
        self.tell(epoch + 1, "running")

    def tell(self, epochs: int, status: Status) -> None:
        """Describe the member after so many epochs."""
        self._watcher.kept(
            self._member.model_copy(
                update={
                    "status": status,
                    "parameters": self._checkpoints.parameters,
                    "epochs": epochs,
                    "seconds": self.seconds,
                    "checkpoints": list(self._checkpoints.kept),
                }
            )
        )


class FiniteLoss(keras.callbacks.Callback):
    """Ends training with a DivergedError when an epoch's loss is infinite or NaN.

    It comes first in the list of callbacks, so that no other one keeps such an epoch.
    """

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Check the epoch's training and validation loss."""
        for name in ("loss", "val_loss"):
            value = (logs or {})[name]
            if not math.isfinite(value):
                raise DivergedError(
                    f"{name} became {value} in epoch {epoch + 1}, where it must be finite; lower "
                    'training.learning_rate (SET="training.learning_rate=0.0003")'
                )


class ProgressReport(keras.callbacks.Callback):
    """Tells the watcher of every step and of every epoch; it comes last in the list."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self._watcher = watcher
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch that the steps belong to."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Tell of one more step."""
        self._watcher.stepped(self._epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Tell that the epoch is saved."""
        self._watcher.saved(epoch + 1, {name: float(value) for name, value in (logs or {}).items()})
