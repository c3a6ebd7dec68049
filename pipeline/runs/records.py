"""What a run records of itself in run.json: plain data, checked when it is read back."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.recipe import Recipe
from pipeline.runs.fields import (
    CheckpointFile,
    Count,
    Fact,
    Fingerprint,
    KernelName,
    Location,
    NonNegative,
    Number,
    ProcessId,
    RunId,
    Seed,
    Sha256,
    Share,
    Text,
    Time,
)

SCHEMA_VERSION = 3
"""Version 2 had no checksums of the run's files. Version 1 had one kind of record: an average of
runs was a training with blank fields."""

RunStatus = Literal["pending", "running", "interrupted", "failed", "done"]


class Checkpoint(BaseModel):
    """One saved epoch of a member: file name in its checkpoints folder, epoch from 1, scores."""

    file: CheckpointFile
    epoch: Count
    val_accuracy: Share
    val_loss: Number


class Member(BaseModel):
    """One network of a run, with its training so far.

    `fold` says which rows it validates on, 0 for a hold-out. `attempt` counts how often it began
    anew with other initial weights because its loss diverged. `reason` says why it failed.
    `host`, `process` and `device` say where it was trained last, `heartbeat` (UTC, ISO 8601) when
    that process last reported. `epochs` counts the finished epochs, `seconds` is their wall time.
    `parameters` counts the network's weights, trained or not.
    """

    index: Count
    fold: Count = 0
    seed: Seed
    status: RunStatus = "done"
    reason: Text = ""
    attempt: Count = 0
    host: Text = ""
    process: ProcessId = 0
    device: Text = ""
    heartbeat: Time = ""
    parameters: Count = 0
    epochs: Count = 0
    seconds: NonNegative = 0
    checkpoints: list[Checkpoint] = []


class Scores(BaseModel):
    """The ensemble's scores on the validation rows: shares in [0, 1], log loss in nats.

    `interval` is the Wilson 95 % interval of the accuracy. The test accuracy and its interval are
    set where the source publishes its test labels. `training_accuracy`, on the training rows
    without warps or dropout, is set once `make baselines` has measured it. `precision` is the
    Keras dtype policy in which the rows beyond doubt were predicted.
    """

    validation_accuracy: Share
    validation_rows: Count
    interval: tuple[Share, Share]
    log_loss: NonNegative
    test_accuracy: Share | None = None
    test_rows: Count = 0
    test_interval: tuple[Share, Share] | None = None
    training_accuracy: Share | None = None
    precision: Text = ""


class _CommonRecord(BaseModel):
    """What both kinds of run record. `command` is the command as typed that began the run.

    `sha256` has the checksums of the files in the run's folder that its numbers depend on, by
    their paths there. A file is written before the record names its checksum.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    id: RunId
    identity: Fingerprint
    status: RunStatus
    reason: Text = ""
    recipe_name: Text
    source: Location
    practice_seed: Seed
    data_fingerprint: Fingerprint
    split_fingerprint: Fingerprint
    versions: dict[Text, Text]
    git: dict[Text, Fact]
    command: str = ""
    host: Text = ""
    process: ProcessId = 0
    created_at: Time = ""
    timings: dict[Text, NonNegative] = {}
    members: list[Member] = []
    scores: Scores | None = None
    sha256: dict[str, Sha256] = {}

    @property
    def checkpoint_count(self) -> int:
        """The number of checkpoints that the run's ensemble averages."""
        return sum(len(member.checkpoints) for member in self.usable_members)

    @property
    def usable_members(self) -> list[Member]:
        """The members with checkpoints to average. Failed members are not among them."""
        return [one for one in self.members if one.checkpoints and one.status != "failed"]


class Kernel(BaseModel):
    """A program on Kaggle's machines that trains members of the run.

    It was pushed under `slug` of the account `owner`, once: `version` is 0 until Kaggle has
    confirmed that. `members` are those that it trains, with the libraries of Kaggle's
    `image` or the locked ones. `running_since` is when it was first seen
    running, `ended` how it ended, empty until that is known. `quota_used` are the hours of GPU time
    that the account had used in that week before, None where that is not known.
    """

    owner: KernelName
    slug: KernelName
    version: Count = 0
    members: list[Count] = Field(min_length=1)
    hours: Annotated[float, Field(ge=0, le=12)]
    image: bool = False
    pushed_at: Time = ""
    running_since: Time = ""
    ended: Text = ""
    quota_used: NonNegative | None = None

    @property
    def name(self) -> str:
        """The name by which the kaggle command knows it."""
        return f"{self.owner}/{self.slug}"

    @property
    def url(self) -> str:
        """Its page."""
        return f"https://www.kaggle.com/code/{self.name}"


class TrainingRecord(_CommonRecord):
    """A run that trains. `executor` is the one that trained last, `kernels` are those at Kaggle."""

    kind: Literal["training"] = "training"
    recipe: Recipe
    seed: Seed
    code_fingerprint: Fingerprint
    executor: Text = ""
    hardware: dict[Text, Fact] = {}
    kernels: list[Kernel] = []

    parents: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _members_are_those_of_the_recipe(self) -> Self:
        """Refuse members in another order, or of folds that the recipe does not have."""
        folds = self.recipe.members.splits
        for position, member in enumerate(self.members):
            if member.index != position or member.fold >= folds:
                raise ValueError(
                    f"member {position} has index {member.index} and fold {member.fold}; members "
                    f"are numbered from 0, and their folds are below {folds}"
                )
        if any(index >= len(self.members) for one in self.kernels for index in one.members):
            raise ValueError(f"a kernel trains members of which there are only {len(self.members)}")
        return self


class AverageRecord(_CommonRecord):
    """A run that averages the probabilities of others. Its members are copies of theirs.

    `parents` are their ids. `one_fold_per_row` is true where a run with folds was averaged with one
    on a hold-out: a validation row has the prediction of one fold only, a test row those of all.
    """

    kind: Literal["average"] = "average"
    parents: list[RunId] = Field(min_length=1)
    one_fold_per_row: bool = False


Record = TrainingRecord | AverageRecord
"""The content of run.json; `kind` says which of the two it is."""


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a run.json of any version so far in the form of the present one.

    `values` is what the file holds. Raises KeyError, TypeError or AttributeError where it is not
    such a record.
    """
    current = {**values, "schema_version": SCHEMA_VERSION}
    return _from_version_1(current) if values["schema_version"] == 1 else current


def _from_version_1(values: dict[str, Any]) -> dict[str, Any]:
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
