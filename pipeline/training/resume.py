"""Everything that a member's next epoch depends on, saved at the end of each epoch.

Keras's BackupAndRestore keeps weights and epoch only. ReduceLROnPlateau, EarlyStopping and
ModelCheckpoint would lose their counters and best values. The order of rows and their warps need
no saving: they are functions of seed, member and epoch (`batches.py`).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.runs import RESUME_FILE, Arrays, Checkpoint, Member
from pipeline.runs.arrays import unpack
from pipeline.training.callbacks import HISTORY_COLUMNS, EpochHistory, KeptCheckpoints, Logs

COUNTERS = ("best", "wait")
"""What ReduceLROnPlateau and EarlyStopping decide by: numbers, or None before the first epoch."""

Count = Annotated[int, Field(ge=0)]


class TrainingState(BaseModel):
    """What a resume file holds beside the variables: how far the member is, and what it decided.

    `epoch` counts the epochs that are done and saved, `seconds` is the wall time of their training.
    `stopped` says whether early stopping ended it there. `precision` is the Keras dtype policy that
    the member began with: another one has other variables. `schedule` has the COUNTERS of each
    callback, `kept` the checkpoints, `history` one row per epoch.
    """

    # An unbounded best value is written as Infinity, not as null.
    model_config = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="constants")

    epoch: Count = 0
    seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    stopped: bool = False
    precision: str = Field(pattern=r"\A(float32|mixed_bfloat16|mixed_float16)\z")
    attempt: Count
    schedule: list[dict[str, float | None]]
    kept: list[Checkpoint] = []
    history: list[dict[str, int | float]] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse other counters, and a history or checkpoints of other epochs."""
        if any(counters.keys() != set(COUNTERS) for counters in self.schedule):
            raise ValueError(f"its callbacks must have the counters {', '.join(COUNTERS)}")
        epochs = list(range(1, self.epoch + 1))
        if [row.get("epoch") for row in self.history] != epochs:
            raise ValueError(f"its history must have the epochs 1 to {self.epoch}")
        if any(not row.keys() >= set(HISTORY_COLUMNS) for row in self.history):
            raise ValueError(f"its history must have the columns {', '.join(HISTORY_COLUMNS)}")
        if not {one.epoch for one in self.kept} <= set(epochs):
            raise ValueError(f"its checkpoints must be of the epochs 1 to {self.epoch}")
        return self


@dataclass(frozen=True)
class SavedState:
    """The content of a resume file: its plain values, and the variables as `arrays` by name."""

    state: TrainingState
    arrays: Arrays


def read_saved_state(content: bytes | None, member: Member) -> SavedState | None:
    """Return the state in a member's resume file, or None without a file.

    A state of an earlier attempt, which began with other weights, does not count. Raises
    PipelineError where the content is damaged.
    """
    if content is None:
        return None
    try:
        arrays = unpack(content)
        state = TrainingState.model_validate_json(str(arrays.pop("state")))
    except ValidationError as error:
        first = error.errors()[0]
        raise _unusable(member, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except KeyError:
        raise _unusable(member, "it holds no state") from None
    except ValueError as error:
        raise _unusable(member, str(error)) from None
    return SavedState(state, arrays) if state.attempt == member.attempt else None


def _unusable(member: Member, problem: str) -> PipelineError:
    return PipelineError(
        f"members/{member.index}/{RESUME_FILE} of the run cannot be read ({printable(problem)}); "
        "delete it, and the member is trained from its beginning"
    )


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
        self._member = member
        self._saved = saved
        self._precision = precision
        self._schedule = schedule
        self.checkpoints = checkpoints
        self.history = history
        self.epoch: int = saved.state.epoch if saved else 0
        """The number of epochs that are done and saved."""
        self.seconds: float = saved.state.seconds if saved else 0.0
        """The wall time of their training."""
        self.stopped: bool = saved.state.stopped if saved else False
        """Whether early stopping ended the training at the saved epoch."""
        checkpoints.kept = saved.state.kept if saved else []
        history.rows = saved.state.history if saved else []

    def on_train_begin(self, logs: Logs = None) -> None:
        """Put the saved variables and counters back, if there are any.

        Raises PipelineError where they are those of another network or recipe.
        """
        if not self._saved:
            return
        self.model.optimizer.build(self.model.trainable_variables)
        self._check_fits(self._saved)
        for name, variable in self._variables().items():
            variable.assign(self._saved.arrays[name])
        for callback, values in zip(self._schedule, self._saved.state.schedule, strict=True):
            for attribute, value in values.items():
                setattr(callback, attribute, value)
        self._saved = None

    def _check_fits(self, saved: SavedState) -> None:
        variables = {
            name: (tuple(variable.shape), str(variable.dtype))
            for name, variable in self._variables().items()
        }
        stored = {name: (array.shape, str(array.dtype)) for name, array in saved.arrays.items()}
        if variables != stored or len(saved.state.schedule) != len(self._schedule):
            raise _unusable(self._member, "it holds the state of another network or recipe")

    def content(self, epoch: int, seconds: float) -> bytes:
        """Return the resume file's content after `epoch` epochs, trained in `seconds`."""
        state = TrainingState(
            epoch=epoch,
            seconds=seconds,
            stopped=bool(self.model.stop_training),
            precision=self._precision,
            attempt=self._member.attempt,
            schedule=[
                {name: _plain(getattr(callback, name)) for name in COUNTERS}
                for callback in self._schedule
            ],
            kept=self.checkpoints.kept,
            history=self.history.rows,
        )
        arrays = {
            name: keras.ops.convert_to_numpy(variable)
            for name, variable in self._variables().items()
        }
        written = io.BytesIO()
        np.savez(written, allow_pickle=False, state=np.array(state.model_dump_json()), **arrays)
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
