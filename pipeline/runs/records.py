"""What a run records of itself: plain data, checked when it is read back."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

Status = Literal["pending", "running", "interrupted", "failed", "done"]


class Checkpoint(BaseModel):
    """One saved epoch of a member: file name in its checkpoints folder, epoch from 1, scores."""

    file: str
    epoch: int
    val_accuracy: float
    val_loss: float


class Member(BaseModel):
    """One network of a run, as far as it has come.

    Its rows to validate on are those of `fold`, 0 for a hold-out. `reason` says why it failed.
    `draw` counts how often it began anew with other first weights, because its loss diverged.
    `host`, `process` and `device` say where it was trained last, `heartbeat` (UTC, ISO 8601) when
    that process was last heard of. `epochs` counts those trained, `seconds` is the wall time of
    their training. `parameters` counts the network's weights, those that are not trained too; 0
    in the records of earlier versions.
    """

    index: int
    fold: int = 0
    seed: int
    status: Status = "done"
    reason: str = ""
    draw: int = 0
    host: str = ""
    process: int = 0
    device: str = ""
    heartbeat: str = ""
    parameters: int = 0
    epochs: int = 0
    seconds: float = 0
    checkpoints: list[Checkpoint] = []


class Scores(BaseModel):
    """What the ensemble scores on the validation rows: shares in [0, 1], log loss in nats.

    `interval` is the Wilson 95 % interval of the accuracy. The test accuracy and its interval are
    there where the source publishes its test labels. `training_accuracy`, on the training rows as
    they are, without warps or dropout, is there once it was asked for. `precision` is the Keras
    dtype policy that rows beyond doubt were predicted in; empty in earlier versions' records.
    """

    validation_accuracy: float
    validation_rows: int
    interval: tuple[float, float]
    log_loss: float
    test_accuracy: float | None = None
    test_rows: int = 0
    test_interval: tuple[float, float] | None = None
    training_accuracy: float | None = None
    precision: str = ""


class Record(BaseModel):
    """run.json. `parents` names the runs that an ensemble of several runs was made from."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    id: str
    identity: str
    status: Status
    reason: str = ""
    recipe: dict[str, Any]
    recipe_name: str
    seed: int
    parents: list[str] = []
    source: str
    practice_seed: int
    data_fingerprint: str
    split_fingerprint: str
    code_fingerprint: str
    versions: dict[str, str]
    git: dict[str, Any]
    hardware: dict[str, Any] = {}
    host: str = ""
    process: int = 0
    created_at: str = ""
    timings: dict[str, float] = {}
    members: list[Member] = []
    scores: Scores | None = None

    @property
    def checkpoint_count(self) -> int:
        """The number of checkpoints that the run's ensemble averages."""
        return sum(len(member.checkpoints) for member in self.usable_members)

    @property
    def usable_members(self) -> list[Member]:
        """The members with checkpoints to average: none that failed."""
        return [one for one in self.members if one.checkpoints and one.status != "failed"]
