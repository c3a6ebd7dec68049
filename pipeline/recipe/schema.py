"""Every setting that shapes a run, its unit, its range and its default, as pydantic checks it."""

import math
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A table of a recipe: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SplitSettings(Section):
    """How labelled rows are parted into training and validation rows."""

    validation_fraction: float = Field(
        0.15, gt=0, lt=1, description="share of rows held out; with members.folds, 1 / folds is"
    )
    seed: int = Field(0, ge=0, description="random_state of train_test_split or StratifiedKFold")


class NetworkSettings(Section):
    """Which network of the registry is trained."""

    name: str = Field("bn_cnn", description="a name in the registry of pipeline/networks")
    file: str | None = None
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of units dropped after dense layers; left out: the network's usual one",
    )
    convolution_dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of units dropped after convolutions; left out: the network's usual one",
    )
    pixel_maximum: float = Field(
        1.0,
        gt=0,
        le=255,
        description="pixels reach the first layer in 0..this; 255: as they are in the files",
    )

    @property
    def rates(self) -> dict[str, float]:
        """The dropout rates that the recipe gives, by their keys."""
        given = {"dropout": self.dropout, "convolution_dropout": self.convolution_dropout}
        return {key: rate for key, rate in given.items() if rate is not None}


class AugmentationSettings(Section):
    """Random warps, named and measured as in Keras's ImageDataGenerator.

    Empty space is filled with the nearest pixel, ImageDataGenerator's default. Flips, channel
    shifts, brightness and whitening are not offered: they change what a digit means, or are
    not geometric.
    """

    engine: Literal["warp", "keras", "none"] = Field(
        "warp",
        description="warp: whole batches in tf.data; keras: ImageDataGenerator itself; none: no "
        "warps, the ranges are not used",
    )
    rotation_range: float = Field(10.0, ge=0, le=180, description="degrees, drawn from +-")
    width_shift_range: float = Field(0.1, ge=0, lt=1, description="share of the width, +-")
    height_shift_range: float = Field(0.1, ge=0, lt=1, description="share of the height, +-")
    shear_range: float = Field(0.0, ge=0, lt=90, description="degrees, drawn from +-")
    zoom_range: float = Field(
        0.1, ge=0, lt=1, description="scale drawn from 1 +-, rows and columns apart"
    )


class TrainingSettings(Section):
    """Optimiser, schedule length and arithmetic."""

    epochs: int = Field(50, ge=1, description="upper limit; early stopping may end it sooner")
    batch_size: int = Field(64, ge=1, description="rows per step")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam",
        description="keras.optimizers.Adam, AdamW (decoupled weight decay: Loshchilov and Hutter, "
        "arXiv 1711.05101), or SGD without momentum",
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="the initial rate, or the highest one of schedule.kind cosine; Keras's "
        "defaults: adam and adamw 0.001, sgd 0.01",
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="adamw only: each step multiplies all weights by 1 - weight_decay x rate",
    )
    loss: Literal["categorical_crossentropy", "mean_squared_error"] = Field(
        "categorical_crossentropy", description="against the label as one of ten classes"
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the label's probability that is spread over all classes, in the loss "
        "of training and validation (Szegedy et al., arXiv 1512.00567)",
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "auto", description="auto: mixed where the GPU or CPU multiplies it natively, else float32"
    )
    xla: Literal["auto", "on", "off"] = Field(
        "auto",
        description="auto: on with a GPU, off on a CPU, where it measured slower; never with "
        "`deterministic`, nor for LSTM layers on a GPU",
    )
    deterministic: bool = Field(
        False,
        description="true: TensorFlow's op determinism, and one thread a member unless "
        "members.cpus says otherwise; slower, the same bits every time",
    )


class ScheduleSettings(Section):
    """The learning rate of every step, known beforehand."""

    kind: Literal["constant", "cosine"] = Field(
        "constant",
        description="constant: training.learning_rate, which reduce_on_plateau may lower; cosine: "
        "from 0 in a line up to training.learning_rate and down a half cosine to 0 after the last "
        "step, one cycle (Smith and Topin, arXiv 1708.07120; keras's CosineDecay)",
    )
    warm_up: float = Field(
        0.3, ge=0, lt=1, description="cosine only: share of all steps on the way up"
    )


class ReduceOnPlateauSettings(Section):
    """keras.callbacks.ReduceLROnPlateau on validation accuracy."""

    enabled: bool = Field(True, description="false: the rate stays as it is")
    patience: int = Field(3, ge=0, description="epochs without a better validation accuracy")
    factor: float = Field(0.5, gt=0, lt=1, description="the rate is multiplied by this")
    min_learning_rate: float = Field(1e-5, ge=0, description="the rate never falls below")


class EarlyStoppingSettings(Section):
    """keras.callbacks.EarlyStopping on validation loss; which epochs are kept is [checkpoints]'."""

    enabled: bool = Field(True, description="false: all epochs are trained")
    patience: int = Field(10, ge=0, description="epochs without a lower validation loss")
    min_delta: float = Field(1e-10, ge=0, description="the least fall that counts, in nats")


class CheckpointSettings(Section):
    """keras.callbacks.ModelCheckpoint: which epochs are kept as files; the ensemble averages them.

    An epoch that is both among the best and among the last counts once.
    """

    keep_best: int = Field(5, ge=0, description="so many of the highest validation accuracy")
    keep_last: int = Field(0, ge=0, description="so many of the latest epochs")

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not self.keep_best + self.keep_last:
            raise PydanticCustomError(
                "keeps_nothing", "such that keep_best or keep_last is 1 or more"
            )
        return self


class PredictionSettings(Section):
    """How checkpoints become probabilities."""

    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto",
        description="auto: mixed_bfloat16 on a CPU that multiplies it natively, else float32; rows "
        "whose two highest mean probabilities are close are predicted in float32 in any case",
    )


class MemberSettings(Section):
    """How many networks are trained, on which rows each, and with what share of the machine."""

    folds: int = Field(
        0, ge=0, description="0: one hold-out; k, 2 or more: stratified k-fold, a network a fold"
    )
    seeds: int = Field(1, ge=1, description="networks per fold, or per hold-out")
    cpus: int | None = Field(
        None,
        ge=1,
        description="CPU cores of a member, a thread each; left out: the machine's, shared among "
        "the members in training at the same time; with Ray 1",
    )
    gpus: float | None = Field(
        None,
        ge=0,
        le=1,
        description="GPUs of a member; 0.5: two share one, 0: none is used; left out: 1 where "
        "there is any",
    )
    retries: int = Field(
        1, ge=0, description="how often a member is tried again that diverged, raised or was lost"
    )
    required: int | None = Field(
        None,
        ge=1,
        description="members that must succeed for the run to be used; left out: four in five",
    )

    @field_validator("folds")
    @classmethod
    def _more_than_one(cls, folds: int) -> int:
        if folds == 1:
            raise PydanticCustomError("one_fold", "0 (a hold-out), or 2 or more")
        return folds

    @model_validator(mode="after")
    def _requires_what_there_is(self) -> Self:
        if self.required and self.required > self.count:
            raise PydanticCustomError(
                "too_many_required", f"such that required is at most {self.count}, the members"
            )
        return self

    @property
    def count(self) -> int:
        """The number of members: folds, of which a hold-out counts as one, times seeds."""
        return max(self.folds, 1) * self.seeds

    @property
    def needed(self) -> int:
        """How many of them must succeed: `required`, or four in five, rounded up."""
        return self.required or math.ceil(self.count * 4 / 5)


class Recipe(Section):
    """All settings of a run, as resolved: file, then `SET`, then `SEED`."""

    name: str = Field(description="the file's name without .toml")
    seed: int = Field(0, ge=0, description="first weights, order of rows, warps, dropout")
    split: SplitSettings = SplitSettings()
    members: MemberSettings = MemberSettings()
    network: NetworkSettings = NetworkSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    reduce_on_plateau: ReduceOnPlateauSettings = ReduceOnPlateauSettings()
    early_stopping: EarlyStoppingSettings = EarlyStoppingSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    prediction: PredictionSettings = PredictionSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse settings of different tables or keys that contradict one another."""
        training = self.training
        for name in ("reduce_on_plateau", "early_stopping"):
            if self.schedule.kind == "cosine" and getattr(self, name).enabled:
                raise PydanticCustomError(
                    "two_schedules",
                    f"schedule.kind is 'cosine', with which {name}.enabled must be false",
                )
        if (training.weight_decay > 0) != (training.optimizer == "adamw"):
            raise PydanticCustomError(
                "no_decay",
                f"training.weight_decay is {training.weight_decay} and training.optimizer "
                f"{training.optimizer!r}; a decay above 0 goes with 'adamw', and only with it",
            )
        if training.label_smoothing and training.loss != "categorical_crossentropy":
            raise PydanticCustomError(
                "no_smoothing",
                f"training.label_smoothing is {training.label_smoothing}, for which training.loss "
                f"must be 'categorical_crossentropy', not {training.loss!r}",
            )
        return self
