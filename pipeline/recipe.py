"""Recipes: every setting that shapes a run, its unit, its range and its default.

A recipe is a TOML file. The classes below are its schema: an unknown key, a wrong type or a
value out of range is an error that names the file, the key, the value and what is allowed.
"""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pipeline.errors import PipelineError

RECIPES_FOLDER = Path(__file__).parent / "recipes"


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
    optimizer: Literal["adam", "sgd"] = Field(
        "adam", description="keras.optimizers.Adam, or SGD without momentum"
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="the initial rate; Keras's defaults: adam 0.001, sgd 0.01"
    )
    loss: Literal["categorical_crossentropy", "mean_squared_error"] = Field(
        "categorical_crossentropy", description="against the label as one of ten classes"
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "auto", description="auto: mixed where the GPU or CPU multiplies it natively, else float32"
    )
    xla: Literal["auto", "on", "off"] = Field(
        "auto", description="auto: on with a GPU, off on a CPU, where it measured slower"
    )


class ReduceOnPlateauSettings(Section):
    """keras.callbacks.ReduceLROnPlateau on validation accuracy."""

    enabled: bool = Field(True, description="false: the rate stays as it is")
    patience: int = Field(3, ge=0, description="epochs without a better validation accuracy")
    factor: float = Field(0.5, gt=0, lt=1, description="the rate is multiplied by this")
    min_learning_rate: float = Field(1e-5, ge=0, description="the rate never falls below")


class EarlyStoppingSettings(Section):
    """keras.callbacks.EarlyStopping on validation loss, best weights restored."""

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


class MemberSettings(Section):
    """How many networks are trained, and on which rows each."""

    folds: int = Field(
        0, ge=0, description="0: one hold-out; k, 2 or more: stratified k-fold, a network a fold"
    )
    seeds: int = Field(1, ge=1, description="networks per fold, or per hold-out")

    @field_validator("folds")
    @classmethod
    def _more_than_one(cls, folds: int) -> int:
        if folds == 1:
            raise PydanticCustomError("one_fold", "0 (a hold-out), or 2 or more")
        return folds


class Recipe(Section):
    """All settings of a run, as resolved: file, then `SET`, then `SEED`."""

    name: str = Field(description="the file's name without .toml")
    seed: int = Field(0, ge=0, description="first weights, order of rows, warps, dropout")
    split: SplitSettings = SplitSettings()
    members: MemberSettings = MemberSettings()
    network: NetworkSettings = NetworkSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    reduce_on_plateau: ReduceOnPlateauSettings = ReduceOnPlateauSettings()
    early_stopping: EarlyStoppingSettings = EarlyStoppingSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()


def names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(
        path.relative_to(RECIPES_FOLDER).with_suffix("").as_posix()
        for path in RECIPES_FOLDER.rglob("*.toml")
    )


def load(name_or_path: str, settings: str = "", seed: int | None = None) -> Recipe:
    """Return the recipe of that name, or of that TOML file, with changes applied and checked.

    `settings` holds dotted changes as `SET` takes them ("training.epochs=3 seed=1"); a value is
    read as TOML, or as a plain string where it is no TOML. `seed` replaces the recipe's own.
    Raises PipelineError for an unknown recipe, key, type or value.
    """
    path = _find(name_or_path)
    values = _parse(path)
    for change in _split_changes(settings):
        _apply(values, change)
    if seed is not None:
        values["seed"] = seed
    origin = f"{path.name} with SET={settings!r}" if settings else path.name
    if "name" in values:
        raise PipelineError(
            f"recipe {origin}: unknown key name; a recipe is named after its file; "
            f"allowed here: {', '.join(_allowed([]))}"
        )
    values["name"] = path.stem
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise PipelineError(f"recipe {origin}: {_explain(error)}") from None


def _find(name_or_path: str) -> Path:
    # A recipe in a folder can be called by its bare name too.
    shipped = {Path(name).name: name for name in names()} | {name: name for name in names()}
    path = (
        RECIPES_FOLDER / f"{shipped[name_or_path]}.toml"
        if name_or_path in shipped
        else Path(name_or_path).expanduser()
    )
    if path.suffix != ".toml" or not path.is_file():
        raise PipelineError(
            f"RECIPE is {name_or_path!r}, which is neither a recipe nor a file; use one of "
            f"{', '.join(names())}, or the path of a .toml file"
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]+", path.stem):
        raise PipelineError(
            f"RECIPE is {name_or_path!r}; runs are named after it, so its file name must be of "
            "letters, digits, dots, dashes and underscores; rename the file"
        )
    return path


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"recipe {path}: not valid TOML: {error}; mend the file") from None


def _split_changes(settings: str) -> list[tuple[list[str], str]]:
    try:
        words = shlex.split(settings)
    except ValueError as error:
        raise PipelineError(f'SET is {settings!r}: {error}; write SET="key=value ..."') from None
    changes = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise PipelineError(
                f'SET holds {word!r}; each word must be key=value, as in SET="training.epochs=3"'
            )
        changes.append((key.split("."), value))
    return changes


def _apply(values: dict[str, Any], change: tuple[list[str], str]) -> None:
    (*tables, key), text = change
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise PipelineError(
                f"SET names {'.'.join([*tables, key])!r}, but {table} is a value and has no keys; "
                "use the dotted key of a setting"
            )
    try:
        values[key] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[key] = text


def _explain(error: ValidationError) -> str:
    """Tell pydantic's first complaint in the pipeline's own form."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}; allowed here: {', '.join(_allowed(location[:-1]))}"
    allowed = first["msg"].removeprefix("Input should be ")
    return f"{key} is {first['input']!r}; it must be {allowed}; change it in the file or with SET"


def _allowed(tables: list[str]) -> list[str]:
    section: type[BaseModel] = Recipe
    for table in tables:
        annotation = section.model_fields[table].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        section = annotation
    return [name for name in section.model_fields if (section, name) != (Recipe, "name")]
