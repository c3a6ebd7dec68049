"""All that the next epoch of a member depends on, saved at the end of each.

Keras's BackupAndRestore keeps weights and epoch only; ReduceLROnPlateau, EarlyStopping and
ModelCheckpoint would start anew with their counters and best values. Order and warps of the rows
need no saving: they are functions of seed, member and epoch (training.py).
"""

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import TypeAdapter

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing
from pipeline.runs import Checkpoint, Member
from pipeline.training.callbacks import HistoryFile, KeptCheckpoints, Logs, MemberRecord

COUNTERS = ("best", "wait")
"""What ReduceLROnPlateau and EarlyStopping decide by: numbers, or None before the first epoch."""

_CHECKPOINTS = TypeAdapter(list[Checkpoint])


@dataclass(frozen=True)
class SavedState:
    """What a resume file holds: `state` as JSON has it, the variables as `arrays` by name."""

    state: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def precision(self) -> str:
        """The Keras dtype policy that the member began with; another has other variables."""
        return str(self.state["precision"])


def read(path: Path, member: Member) -> SavedState | None:
    """Return what a member's resume file holds, None where there is none.

    One of other first weights does not count. Raises PipelineError where it is damaged.
    """
    if not path.exists():
        return None
    try:
        state, arrays = _read(path)
    except (OSError, ValueError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        # In a worker `path` is a copy, gone by the time that anybody reads this.
        raise PipelineError(
            f"members/{member.index}/{path.name} of the run cannot be read ({error}); delete it, "
            "and the member is trained from its beginning"
        ) from None
    return SavedState(state, arrays) if state["draw"] == member.draw else None


class ResumePoint(keras.callbacks.Callback):
    """Saves a member's whole state at each epoch's end, and puts it back when training begins.

    The state is the variables of network and optimiser (dropout's seeds and the learning rate are
    among them), the counters of `schedule`'s callbacks, the kept checkpoints and the history. The
    file is written whole or not at all. This callback comes after all of those: Keras's callbacks
    reset themselves when training begins, and it undoes that. `saved` is what `path` held, read
    before the network was built, because it says in which `precision`.
    """

    def __init__(
        self,
        path: Path,
        saved: SavedState | None,
        precision: str,
        schedule: Sequence[keras.callbacks.Callback],
        checkpoints: KeptCheckpoints,
        history: HistoryFile,
        record: MemberRecord,
    ) -> None:
        super().__init__()
        self._path = path
        self._saved = saved
        self._precision = precision
        self._schedule = schedule
        self._checkpoints = checkpoints
        self._history = history
        self._record = record
        self.epoch: int = saved.state["epoch"] if saved else 0
        """The number of epochs that are done and saved."""
        self.stopped: bool = saved.state["stopped"] if saved else False
        """Whether early stopping ended the training at the saved epoch."""

    def restore_files(self) -> None:
        """Make record, history and checkpoints those of the saved epoch, whatever came after it.

        The record comes first: at no moment does it name a checkpoint that is gone.
        """
        if self._saved:
            state = self._saved.state
            self._checkpoints.kept = _CHECKPOINTS.validate_python(state["kept"])
            self._history.restore(state["history"])
            self._record.seconds_before = state["seconds"]
        self._record.tell(self.epoch, "running")
        self._checkpoints.remove_strays()

    def on_train_begin(self, logs: Logs = None) -> None:
        """Put the saved variables and counters back, if there are any."""
        if not self._saved:
            return
        self.model.optimizer.build(self.model.trainable_variables)
        for name, variable in self._variables().items():
            variable.assign(self._saved.arrays[name])
        for callback, values in zip(self._schedule, self._saved.state["schedule"], strict=True):
            for attribute, value in values.items():
                setattr(callback, attribute, value)
        self._saved = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save the state, and only then let go of the checkpoints that it no longer names."""
        arrays = {
            name: keras.ops.convert_to_numpy(variable)
            for name, variable in self._variables().items()
        }
        with replacing(self._path) as temporary, temporary.open("wb") as file:
            text = json.dumps(self._describe(epoch + 1))
            np.savez(file, allow_pickle=False, state=np.array(text), **arrays)
        self._checkpoints.remove_replaced()

    def _describe(self, epoch: int) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "stopped": bool(self.model.stop_training),
            "precision": self._precision,
            "draw": self._record.draw,
            "schedule": [
                {name: _plain(getattr(one, name)) for name in COUNTERS} for one in self._schedule
            ],
            "kept": _CHECKPOINTS.dump_python(self._checkpoints.kept),
            "history": self._history.rows,
            "seconds": self._record.seconds,
        }

    def _variables(self) -> dict[str, keras.Variable]:
        parts = {"network": self.model.variables, "optimizer": self.model.optimizer.variables}
        return {
            f"{part}_{number}": variable
            for part, variables in parts.items()
            for number, variable in enumerate(variables)
        }


def _plain(value: Any) -> float | None:
    return None if value is None else float(value)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the state and the arrays of a file."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    return dict(json.loads(str(arrays.pop("state")))), arrays
