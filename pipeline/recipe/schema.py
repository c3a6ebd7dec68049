"""Every setting of a recipe: its unit, its range and its default, checked by pydantic."""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.recipe.varies import Varies

MOST_MEMBERS = 1_000
MOST_EPOCHS = 1_000_000_000
HIGHEST_RATE = 1e30  # float32 holds it; a loss that diverges is noticed in training

Epochs = Annotated[int, Field(ge=0, le=MOST_EPOCHS)]
Rate = Annotated[float, Field(ge=0, le=HIGHEST_RATE)]
Decay = Annotated[Rate, Varies(1e-3, 1e-1, log=True)]
Share = Annotated[float, Field(ge=0, lt=1)]
Dropout = Annotated[float | None, Field(ge=0, lt=1), Varies(0.0, 0.6)]
Shift = Annotated[Share, Varies(0.0, 0.15)]


class Section(BaseModel):
    """A table of a recipe. It is frozen and strictly typed, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SplitSettings(Section):
    """How the labelled rows are split into training and validation rows.

    With members.folds, 1 / folds of the rows are held out. `seed` is the random_state of
    scikit-learn's train_test_split or StratifiedKFold.
    """

    validation_fraction: float = Field(0.15, gt=0, lt=1, description="share of rows held out")
    seed: int = Field(0, ge=0, lt=2**32, description="of the split; SEED does not change it")


class NetworkSettings(Section):
    """Which network is trained. A dropout rate is a share of units; left out: the network's own."""

    name: str = Field("bn_cnn", description="the name under which the network is registered")
    file: str | None = Field(
        None, description="a Python file that registers it; left out: a network of the package"
    )
    dropout: Dropout = Field(None, description="rate after dense layers")
    convolution_dropout: Dropout = Field(None, description="rate after convolutions")
    pixel_maximum: float = Field(
        1.0, gt=0, le=255, description="inputs range from 0 to this number"
    )

    @property
    def dropout_rates(self) -> dict[str, float]:
        """The dropout rates that the recipe gives, in [0, 1), by their keys."""
        return self.model_dump(include={"dropout", "convolution_dropout"}, exclude_none=True)


class AugmentationSettings(Section):
    """Random warps of the training images, named and measured as in Keras's ImageDataGenerator.

    `warp` transforms whole batches in tf.data, `keras` is ImageDataGenerator itself, `none` is off.
    Empty space takes the value of the nearest pixel, as ImageDataGenerator does by default. Flips,
    channel shifts, brightness and whitening are not offered: they change which digit an image
    shows, or are not geometric.
    """

    engine: Literal["warp", "keras", "none"] = Field("warp", description="how images are warped")
    rotation_range: Annotated[float, Varies(0.0, 20.0)] = Field(
        10.0, ge=0, le=180, description="largest angle, in degrees"
    )
    width_shift_range: Shift = Field(0.1, description="largest shift, as a share of the width")
    height_shift_range: Shift = Field(0.1, description="largest shift, as a share of the height")
    shear_range: Annotated[float, Varies(0.0, 20.0)] = Field(
        0.0, ge=0, lt=90, description="largest shear, in degrees"
    )
    zoom_range: Annotated[Share, Varies(0.0, 0.2)] = Field(
        0.1, description="scales height and width by 1 - this to 1 + this"
    )


class TrainingSettings(Section):
    """Length of the training, optimiser, loss and arithmetic.

    Keras's default rates are 0.001 for adam and adamw, 0.01 for sgd, which is without momentum.
    Rates for adamw fit muon too, which is pipeline/training/muon.py. AdamW multiplies all weights
    by 1 - weight_decay x rate in each step (Loshchilov and Hutter, arXiv 1711.05101), and so does
    muon. Label smoothing spreads a share of the label's probability over all classes, in training
    and validation (Szegedy et al., arXiv 1512.00567). XLA measured slower on a CPU. It is always
    off for LSTM layers on a GPU, and with `deterministic`, which means TensorFlow's op determinism
    and one thread per member (or members.cpus threads).
    """

    epochs: int = Field(
        50, ge=1, le=MOST_EPOCHS, description="upper limit; early stopping may end training sooner"
    )
    batch_size: Annotated[int, Varies(factor=2, log=True)] = Field(
        64, ge=1, le=1_000_000, description="rows per step"
    )
    optimizer: Literal["adam", "adamw", "muon", "sgd"] = Field(
        "adam", description="of keras.optimizers; muon for convolutions too"
    )
    learning_rate: Annotated[float, Varies(factor=5, log=True)] = Field(
        1e-3, gt=0, le=HIGHEST_RATE, description="initial; with cosine, the highest rate"
    )
    momentum: Annotated[Share, Varies(0.8, 0.98)] = Field(
        0.95, description="muon only: share of the last step kept"
    )
    weight_decay: Decay = Field(0.0, description="adamw and muon: share per step, times the rate")
    loss: Literal["categorical_crossentropy", "mean_squared_error"] = Field(
        "categorical_crossentropy", description="between probabilities and the one-hot label"
    )
    label_smoothing: Annotated[Share, Varies(0.0, 0.15)] = Field(
        0.0, description="categorical_crossentropy only: share spread"
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "auto", description="auto: mixed where the GPU or CPU computes it natively, else float32"
    )
    xla: Literal["auto", "on", "off"] = Field("auto", description="auto: on with a GPU, else off")
    deterministic: bool = Field(False, description="the same bits in every training, but slower")


class ScheduleSettings(Section):
    """How the learning rate changes from step to step.

    `constant` keeps training.learning_rate, which reduce_on_plateau may lower. `cosine` is one
    cycle: linearly from 0 up to that rate, then along half a cosine down to 0 after the last step
    (Smith and Topin, arXiv 1708.07120; keras's CosineDecay). `exponential` multiplies the rate by
    `factor` after each epoch (keras's ExponentialDecay, in steps).
    """

    kind: Literal["constant", "cosine", "exponential"] = Field(
        "constant", description="form of the schedule"
    )
    warm_up: Annotated[Share, Varies(0.05, 0.5)] = Field(
        0.3, description="cosine only: share of all steps with a rising rate"
    )
    factor: Annotated[float, Varies(0.7, 0.99)] = Field(
        0.95, gt=0, le=1, description="exponential only: per epoch"
    )


class ReduceOnPlateauSettings(Section):
    """keras.callbacks.ReduceLROnPlateau on validation accuracy."""

    enabled: bool = Field(True, description="false: the callback is not used")
    patience: Annotated[Epochs, Varies(1, 5)] = Field(
        3, description="epochs without better accuracy, then it acts"
    )
    factor: Annotated[float, Varies(0.2, 0.8)] = Field(
        0.5, gt=0, lt=1, description="the rate is multiplied by this number"
    )
    min_learning_rate: Rate = Field(1e-5, description="the rate never falls below this")


class EarlyStoppingSettings(Section):
    """keras.callbacks.EarlyStopping on validation loss. [checkpoints] chooses the kept epochs."""

    enabled: bool = Field(True, description="false: all epochs are trained")
    patience: Epochs = Field(10, description="epochs without a lower loss, then it ends")
    min_delta: float = Field(
        1e-10, ge=0, le=HIGHEST_RATE, description="smallest fall of the loss that counts"
    )


class CheckpointSettings(Section):
    """Which epochs are kept as files, as by keras.callbacks.ModelCheckpoint.

    The ensemble averages them. An epoch that is both among the best and among the last counts once.
    """

    keep_best: Epochs = Field(5, description="epochs of highest validation accuracy")
    keep_last: Epochs = Field(0, description="number of last epochs")

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not self.keep_best + self.keep_last:
            raise ValueError("keep_best or keep_last must be 1 or more")
        return self


class PredictionSettings(Section):
    """How checkpoints predict probabilities.

    Rows whose two highest mean probabilities are close are always predicted in float32.
    """

    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto", description="auto: mixed_bfloat16 on a CPU that computes it natively, else float32"
    )


class MemberSettings(Section):
    """How many members are trained, on which rows, and with which share of the machine.

    A member has one thread per core of `cpus`. Left out, the members that train at the same time
    share all cores; with Ray, each has one. A member fails if it diverges, raises or is lost. The
    run fails if fewer than `required` members succeed. Hold-out k is drawn with split.seed + k, so
    a row may be in several hold-outs or in none.
    """

    folds: int = Field(
        0, ge=0, le=MOST_MEMBERS, description="0: hold-outs; 2 or more: stratified folds"
    )
    hold_outs: int = Field(
        1, ge=1, le=MOST_MEMBERS, description="random hold-outs, each with its own networks"
    )
    seeds: int = Field(1, ge=1, le=MOST_MEMBERS, description="networks per fold, or per hold-out")
    cpus: int | None = Field(
        None, ge=1, le=10_000, description="CPU cores per member; left out: all, shared"
    )
    gpus: float | None = Field(
        None, ge=0, le=1, description="GPUs per member, 0: the CPU; left out: 1 if there is a GPU"
    )
    retries: int = Field(
        1, ge=0, le=1_000_000, description="how often a failed member is tried again"
    )
    required: int | None = Field(
        None, ge=1, le=MOST_MEMBERS, description="required members; left out: four in five"
    )
    hours: float = Field(3, gt=0, le=12, description="with EXECUTOR=kaggle: time limit of a kernel")

    @field_validator("folds")
    @classmethod
    def _more_than_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError(f"0 (a hold-out), or a whole number from 2 to {MOST_MEMBERS:,}")
        return folds

    @model_validator(mode="after")
    def _count_is_within_limits(self) -> Self:
        if self.count > MOST_MEMBERS:
            raise ValueError(
                f"{'folds' if self.folds else 'hold_outs'}={self.splits} times seeds={self.seeds} "
                f"are {self.count:,} members; at most {MOST_MEMBERS:,} are allowed"
            )
        if self.required and self.required > self.count:
            raise ValueError(f"required must be at most {self.count}, the number of members")
        return self

    @property
    def splits(self) -> int:
        """The number of different splits of the rows: folds or hold-outs."""
        return self.folds or self.hold_outs

    @property
    def count(self) -> int:
        """The number of members: splits times seeds."""
        return self.splits * self.seeds

    @property
    def needed(self) -> int:
        """How many members must succeed: `required`, or four in five, rounded up."""
        return self.required or math.ceil(self.count * 4 / 5)


class Recipe(Section):
    """All settings of a run: those of the file, changed by `SET`, then by `SEED`."""

    name: str = Field(description="the name of the file without .toml")
    seed: int = Field(
        0, ge=0, lt=2**64, description="of first weights, order of rows, warps, dropout"
    )
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

    @property
    def hold_out_seeds(self) -> list[int]:
        """The random_state of each hold-out."""
        return [(self.split.seed + one) % 2**32 for one in range(self.members.hold_outs)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse settings that contradict each other."""
        training = self.training
        with_callbacks = self.reduce_on_plateau.enabled or self.early_stopping.enabled
        if with_callbacks and self.schedule.kind != "constant":
            raise ValueError(
                f"schedule.kind is {self.schedule.kind!r}, with which reduce_on_plateau.enabled "
                "and early_stopping.enabled must be false"
            )
        if (training.weight_decay > 0) != (training.optimizer in ("adamw", "muon")):
            raise ValueError(
                f"training.weight_decay is {training.weight_decay} and training.optimizer "
                f"{training.optimizer!r}; a decay above 0 goes with 'adamw' and 'muon', and only "
                "with them",
            )
        if training.label_smoothing and training.loss != "categorical_crossentropy":
            raise ValueError(
                f"training.label_smoothing is {training.label_smoothing}, for which training.loss "
                f"must be 'categorical_crossentropy', not {training.loss!r}",
            )
        return self
