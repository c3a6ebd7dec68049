"""Every setting of a recipe: its unit, its range and its default, checked by pydantic."""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A table of a recipe. It is frozen and strictly typed, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SplitSettings(Section):
    """How the labelled rows are split into training and validation rows."""

    validation_fraction: float = Field(
        0.15, gt=0, lt=1, description="share of rows held out; with members.folds it is 1 / folds"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="scikit-learn's random_state for the split")


class NetworkSettings(Section):
    """Which network is trained."""

    name: str = Field("bn_cnn", description="the name under which the network is registered")
    file: str | None = Field(
        None,
        description="path of a Python file that registers the network `name`; left out: a network "
        "of the package",
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of units dropped after dense layers; left out: the network's own rate",
    )
    convolution_dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of units dropped after convolutions; left out: the network's own rate",
    )
    pixel_maximum: float = Field(
        1.0,
        gt=0,
        le=255,
        description="the first layer gets pixels from 0 to this number; 255: as in the files",
    )

    @property
    def dropout_rates(self) -> dict[str, float]:
        """The dropout rates that the recipe gives, in [0, 1), by their keys."""
        rates = {"dropout": self.dropout, "convolution_dropout": self.convolution_dropout}
        return {key: rate for key, rate in rates.items() if rate is not None}


class AugmentationSettings(Section):
    """Random warps of the training images, named and measured as in Keras's ImageDataGenerator.

    Empty space takes the value of the nearest pixel, as ImageDataGenerator does by default. Flips,
    channel shifts, brightness and whitening are not offered: they change which digit an image
    shows, or are not geometric.
    """

    engine: Literal["warp", "keras", "none"] = Field(
        "warp",
        description="warp: whole batches at once in tf.data; keras: ImageDataGenerator itself; "
        "none: no warps",
    )
    rotation_range: float = Field(
        10.0, ge=0, le=180, description="largest rotation to either side, in degrees"
    )
    width_shift_range: float = Field(
        0.1, ge=0, lt=1, description="largest shift either way, as a share of the width"
    )
    height_shift_range: float = Field(
        0.1, ge=0, lt=1, description="largest shift either way, as a share of the height"
    )
    shear_range: float = Field(
        0.0, ge=0, lt=90, description="largest shear to either side, in degrees"
    )
    zoom_range: float = Field(
        0.1, ge=0, lt=1, description="height and width are each scaled by 1 - this to 1 + this"
    )


class TrainingSettings(Section):
    """Length of the training, optimiser, loss and arithmetic."""

    epochs: int = Field(50, ge=1, description="upper limit; early stopping may end training sooner")
    batch_size: int = Field(64, ge=1, description="rows per step")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam",
        description="keras.optimizers.Adam, AdamW (decoupled weight decay: Loshchilov and Hutter, "
        "arXiv 1711.05101), or SGD without momentum",
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="the initial rate; with schedule.kind cosine the highest one; Keras's defaults "
        "are 0.001 for adam and adamw, 0.01 for sgd",
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="adamw only: each step multiplies all weights by 1 - weight_decay x rate",
    )
    loss: Literal["categorical_crossentropy", "mean_squared_error"] = Field(
        "categorical_crossentropy",
        description="between the predicted probabilities and the one-hot label",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="categorical_crossentropy only: share of the label's probability that is "
        "spread over all classes, in training and validation (Szegedy et al., arXiv 1512.00567)",
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "auto",
        description="auto: mixed precision where the GPU or CPU computes it natively, else float32",
    )
    xla: Literal["auto", "on", "off"] = Field(
        "auto",
        description="compilation by XLA; auto: on with a GPU, off on a CPU, where it measured "
        "slower; always off with `deterministic`, and for LSTM layers on a GPU",
    )
    deterministic: bool = Field(
        False,
        description="true: the same bits in every training, but slower, by TensorFlow's op "
        "determinism and one thread per member (or members.cpus threads)",
    )


class ScheduleSettings(Section):
    """How the learning rate changes from step to step."""

    kind: Literal["constant", "cosine"] = Field(
        "constant",
        description="constant: training.learning_rate, which reduce_on_plateau may lower; cosine: "
        "one cycle, linearly from 0 up to training.learning_rate, then along half a cosine down "
        "to 0 after the last step (Smith and Topin, arXiv 1708.07120; keras's CosineDecay)",
    )
    warm_up: float = Field(
        0.3, ge=0, lt=1, description="cosine only: share of all steps in which the rate rises"
    )


class ReduceOnPlateauSettings(Section):
    """keras.callbacks.ReduceLROnPlateau on validation accuracy."""

    enabled: bool = Field(True, description="false: the callback is not used")
    patience: int = Field(
        3, ge=0, description="epochs without a better validation accuracy until the rate falls"
    )
    factor: float = Field(0.5, gt=0, lt=1, description="the rate is multiplied by this number")
    min_learning_rate: float = Field(1e-5, ge=0, description="the rate never falls below this")


class EarlyStoppingSettings(Section):
    """keras.callbacks.EarlyStopping on validation loss. [checkpoints] chooses the kept epochs."""

    enabled: bool = Field(True, description="false: all epochs are trained")
    patience: int = Field(
        10, ge=0, description="epochs without a lower validation loss until training ends"
    )
    min_delta: float = Field(
        1e-10, ge=0, description="the smallest fall of the loss that counts, in the loss's unit"
    )


class CheckpointSettings(Section):
    """Which epochs are kept as files, as by keras.callbacks.ModelCheckpoint.

    The ensemble averages them. An epoch that is both among the best and among the last counts once.
    """

    keep_best: int = Field(5, ge=0, description="number of epochs of highest validation accuracy")
    keep_last: int = Field(0, ge=0, description="number of last epochs")

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not self.keep_best + self.keep_last:
            raise PydanticCustomError(
                "keeps_nothing", "such that keep_best or keep_last is 1 or more"
            )
        return self


class PredictionSettings(Section):
    """How checkpoints predict probabilities."""

    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto",
        description="auto: mixed_bfloat16 on a CPU that computes it natively, else float32; rows "
        "whose two highest mean probabilities are close are always predicted in float32",
    )


class MemberSettings(Section):
    """How many members are trained, on which rows, and with which share of the machine."""

    folds: int = Field(
        0, ge=0, description="0: one hold-out; 2 or more: stratified folds, one network per fold"
    )
    seeds: int = Field(1, ge=1, description="networks per fold, or per hold-out")
    cpus: int | None = Field(
        None,
        ge=1,
        description="CPU cores per member, one thread each; left out: all cores, shared by the "
        "members that train at the same time; with Ray 1",
    )
    gpus: float | None = Field(
        None,
        ge=0,
        le=1,
        description="GPUs per member; 0.5: two members share one; 0: the CPU is used; left out: 1 "
        "where there is a GPU",
    )
    retries: int = Field(
        1, ge=0, description="how often a member that diverged, raised or was lost is tried again"
    )
    required: int | None = Field(
        None,
        ge=1,
        description="members that must succeed, else the run fails; left out: four in five",
    )

    @field_validator("folds")
    @classmethod
    def _more_than_one(cls, folds: int) -> int:
        if folds == 1:
            raise PydanticCustomError("one_fold", "0 (a hold-out), or 2 or more")
        return folds

    @model_validator(mode="after")
    def _requires_no_more_than_count(self) -> Self:
        if self.required and self.required > self.count:
            raise PydanticCustomError(
                "too_many_required", f"such that required is at most {self.count}, the members"
            )
        return self

    @property
    def count(self) -> int:
        """The number of members: folds times seeds, where a hold-out counts as one fold."""
        return max(self.folds, 1) * self.seeds

    @property
    def needed(self) -> int:
        """How many members must succeed: `required`, or four in five, rounded up."""
        return self.required or math.ceil(self.count * 4 / 5)


class Recipe(Section):
    """All settings of a run: those of the file, changed by `SET`, then by `SEED`."""

    name: str = Field(description="the name of the file without .toml")
    seed: int = Field(0, ge=0, description="seed of first weights, order of rows, warps, dropout")
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
        """Refuse settings that contradict each other."""
        training = self.training
        callbacks = {
            "reduce_on_plateau": self.reduce_on_plateau.enabled,
            "early_stopping": self.early_stopping.enabled,
        }
        for name, enabled in callbacks.items():
            if enabled and self.schedule.kind == "cosine":
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
