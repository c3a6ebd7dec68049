"""Everything that a member's next epoch depends on, saved at the end of each epoch.

Keras's BackupAndRestore keeps weights and epoch only. ReduceLROnPlateau, EarlyStopping and
ModelCheckpoint would lose their counters and best values. The order of rows and their warps need
no saving: they are functions of seed, member and epoch (`batches.py`).
"""

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from pydantic import TypeAdapter

from pipeline.common.errors import PipelineError
from pipeline.runs import RESUME_FILE, Checkpoint, Member
from pipeline.training.callbacks import EpochHistory, KeptCheckpoints, Logs

COUNTERS = ("best", "wait")
"""What ReduceLROnPlateau and EarlyStopping decide by: numbers, or None before the first epoch."""

_CHECKPOINTS = TypeAdapter(list[Checkpoint])


@dataclass(frozen=True)
class SavedState:
    """The content of a resume file: `state` as plain values, the variables as `arrays` by name."""

    state: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def precision(self) -> str:
        """The Keras dtype policy that the member began with. Another one has other variables."""
        return str(self.state["precision"])


def read_saved_state(content: bytes | None, member: Member) -> SavedState | None:
    """Return the state in a member's resume file, or None without a file.

    A state of an earlier attempt, which began with other weights, does not count. Raises
    PipelineError where the content is damaged.
    """
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored)
        state = dict(json.loads(str(arrays.pop("state"))))
        same_attempt = state["attempt"] == member.attempt
    except (OSError, ValueError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise PipelineError(
            f"members/{member.index}/{RESUME_FILE} of the run cannot be read ({error}); delete it, "
            "and the member is trained from its beginning"
        ) from None
    return SavedState(state, arrays) if same_attempt else None


class ResumePoint(keras.callbacks.Callback):
    """Restores a member's saved state when training begins, and gives the state to save next.

    The state is the variables of network and optimiser (dropout's seeds and the learning rate are
    among them), the counters of the callbacks in `schedule`, the kept checkpoints and the history.
    It must come after the callbacks in `schedule`: they reset themselves when training begins, and
    this one puts their counters back. `saved` is None for a member that begins.
    """

    def __init__(
        self,
        member: Member,
        saved: SavedState | None,
        precision: str,
        schedule: Sequence[keras.callbacks.Callback],
        checkpoints: KeptCheckpoints,
        history: EpochHistory,
    ) -> None:
        super().__init__()
        self._attempt = member.attempt
        self._saved = saved
        self._precision = precision
        self._schedule = schedule
        self.checkpoints = checkpoints
        self.history = history
        state = saved.state if saved else {}
        self.epoch: int = state.get("epoch", 0)
        """The number of epochs that are done and saved."""
        self.seconds: float = state.get("seconds", 0.0)
        """The wall time of their training."""
        self.stopped: bool = state.get("stopped", False)
        """Whether early stopping ended the training at the saved epoch."""
        checkpoints.kept = _CHECKPOINTS.validate_python(state.get("kept", []))
        history.rows = state.get("history", [])

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

    def content(self, epoch: int, seconds: float) -> bytes:
        """Return the resume file's content after `epoch` epochs, trained in `seconds`."""
        state = {
            "epoch": epoch,
            "stopped": bool(self.model.stop_training),
            "precision": self._precision,
            "attempt": self._attempt,
            "schedule": [
                {name: _plain(getattr(callback, name)) for name in COUNTERS}
                for callback in self._schedule
            ],
            "kept": _CHECKPOINTS.dump_python(self.checkpoints.kept),
            "history": self.history.rows,
            "seconds": seconds,
        }
        arrays = {
            name: keras.ops.convert_to_numpy(variable)
            for name, variable in self._variables().items()
        }
        written = io.BytesIO()
        np.savez(written, allow_pickle=False, state=np.array(json.dumps(state)), **arrays)
        return written.getvalue()

    def _variables(self) -> dict[str, keras.Variable]:
        parts = {"network": self.model.variables, "optimizer": self.model.optimizer.variables}
        return {
            f"{part}_{number}": variable
            for part, variables in parts.items()
            for number, variable in enumerate(variables)
        }


def _plain(value: Any) -> float | None:
    return None if value is None else float(value)
