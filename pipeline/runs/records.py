"""What a run records of itself in run.json: plain data, checked when it is read back."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from pipeline.recipe import Recipe

SCHEMA_VERSION = 2
"""Version 1 had one kind of record: an average of runs was a training with blank fields."""

RunStatus = Literal["pending", "running", "interrupted", "failed", "done"]


class Checkpoint(BaseModel):
    """One saved epoch of a member: file name in its checkpoints folder, epoch from 1, scores."""

    file: str
    epoch: int
    val_accuracy: float
    val_loss: float


class Member(BaseModel):
    """One network of a run, with its training so far.

    `fold` says which rows it validates on, 0 for a hold-out. `attempt` counts how often it began
    anew with other initial weights because its loss diverged. `reason` says why it failed.
    `host`, `process` and `device` say where it was trained last, `heartbeat` (UTC, ISO 8601) when
    that process last reported. `epochs` counts the finished epochs, `seconds` is their wall time.
    `parameters` counts the network's weights, trained or not.
    """

    index: int
    fold: int = 0
    seed: int
    status: RunStatus = "done"
    reason: str = ""
    attempt: int = 0
    host: str = ""
    process: int = 0
    device: str = ""
    heartbeat: str = ""
    parameters: int = 0
    epochs: int = 0
    seconds: float = 0
    checkpoints: list[Checkpoint] = []


class Scores(BaseModel):
    """The ensemble's scores on the validation rows: shares in [0, 1], log loss in nats.

    `interval` is the Wilson 95 % interval of the accuracy. The test accuracy and its interval are
    set where the source publishes its test labels. `training_accuracy`, on the training rows
    without warps or dropout, is set once `make baselines` has measured it. `precision` is the
    Keras dtype policy in which the rows beyond doubt were predicted.
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


class _CommonRecord(BaseModel):
    """What both kinds of run record. `command` is the command as typed that began the run."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    id: str
    identity: str
    status: RunStatus
    reason: str = ""
    recipe_name: str
    source: str
    practice_seed: int
    data_fingerprint: str
    split_fingerprint: str
    versions: dict[str, str]
    git: dict[str, Any]
    command: str = ""
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
        """The members with checkpoints to average. Failed members are not among them."""
        return [one for one in self.members if one.checkpoints and one.status != "failed"]


class TrainingRecord(_CommonRecord):
    """A run that trains. `executor` is the one that trained last."""

    kind: Literal["training"] = "training"
    recipe: Recipe
    seed: int
    code_fingerprint: str
    executor: str = ""
    hardware: dict[str, Any] = {}

    parents: ClassVar[tuple[str, ...]] = ()


class AverageRecord(_CommonRecord):
    """A run that averages the probabilities of others. Its members are copies of theirs.

    `parents` are their ids. `one_fold_per_row` is true where a run with folds was averaged with one
    on a hold-out: a validation row has the prediction of one fold only, a test row those of all.
    """

    kind: Literal["average"] = "average"
    parents: list[str]
    one_fold_per_row: bool = False


Record = TrainingRecord | AverageRecord
"""The content of run.json; `kind` says which of the two it is."""


def from_version_1(values: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a run.json of version 1 in the form of version 2.

    `values` is what the file holds. Raises KeyError, TypeError or AttributeError where it is not
    such a record.
    """
    values = {**values, "schema_version": SCHEMA_VERSION}
    values["members"] = [
        {("attempt" if key == "draw" else key): value for key, value in member.items()}
        for member in values["members"]
    ]
    parents = values.pop("parents")
    if not parents:
        return {**values, "kind": "training"}
    folds = values.pop("recipe").get("members", {}).get("folds", 0)
    several = any(member["fold"] for member in values["members"])
    for key in ("seed", "code_fingerprint", "hardware"):
        values.pop(key, None)
    return {
        **values,
        "kind": "average",
        "parents": parents,
        "one_fold_per_row": several and not folds,
    }
