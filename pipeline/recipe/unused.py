"""Settings without effect, because another setting switches off what they describe.

If a person writes such a setting, it is refused. This concerns recipe files and `SET` only: the
record of a run holds all settings, used or not.
"""

from dataclasses import dataclass

from pipeline.common.errors import PipelineError
from pipeline.recipe.keys import SETTINGS, Tables, lookup, remove
from pipeline.recipe.schema import AugmentationSettings


@dataclass(frozen=True)
class Dependency:
    """The settings `keys` have an effect only while the setting `switch` has one of `values`.

    `harmless` are values of `keys` that are always allowed, because they ask for what happens
    anyway.
    """

    keys: tuple[str, ...]
    switch: str
    values: tuple[object, ...]
    harmless: tuple[object, ...] = ()


def _keys(table: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{table}.{name}" for name in names)


RANGES = [name for name in AugmentationSettings.model_fields if name != "engine"]

DEPENDENCIES = (
    Dependency(("split.validation_fraction",), "members.folds", (0,)),
    Dependency(_keys("augmentation", *RANGES), "augmentation.engine", ("warp", "keras")),
    Dependency(("training.weight_decay",), "training.optimizer", ("adamw",), harmless=(0,)),
    Dependency(
        ("training.label_smoothing",),
        "training.loss",
        ("categorical_crossentropy",),
        harmless=(0,),
    ),
    # Keras refuses XLA where TensorFlow is deterministic (model_supports_jit).
    Dependency(("training.xla",), "training.deterministic", (False,), harmless=("auto", "off")),
    Dependency(("schedule.warm_up",), "schedule.kind", ("cosine",)),
    Dependency(
        _keys("reduce_on_plateau", "patience", "factor", "min_learning_rate"),
        "reduce_on_plateau.enabled",
        (True,),
    ),
    Dependency(_keys("early_stopping", "patience", "min_delta"), "early_stopping.enabled", (True,)),
)


def drop_inherited(values: Tables, file_values: Tables, set_values: Tables) -> None:
    """Remove settings of the file that have no effect because of `SET`, so that defaults apply.

    `values` are the settings of the file with `SET` applied, and are changed. `file_values` and
    `set_values` are those of each alone. The person inherited these keys from the file, so nothing
    is reported.
    """
    for dependency in DEPENDENCIES:
        switch, used = dependency.switch, dependency.values
        if _effective(values, switch) in used or _effective(file_values, switch) not in used:
            continue
        for key in dependency.keys:
            if lookup(set_values, key) is None:
                remove(values, key)


def refuse_unused(values: Tables, set_values: Tables, origin: str) -> None:
    """Raise PipelineError for the first setting in `values` that has no effect.

    `values` are valid settings after `drop_inherited`, `set_values` those that `SET` gives.
    `origin` names the recipe in the message.
    """
    for dependency in DEPENDENCIES:
        switch, effective = dependency.switch, _effective(values, dependency.switch)
        if effective in dependency.values:
            continue
        for key in dependency.keys:
            value = lookup(values, key)
            if value is None or value in dependency.harmless:
                continue
            place = f'the file, or unset it with SET="{key}=none"'
            if lookup(set_values, key) is not None:
                place = "SET"
            raise PipelineError(
                f"recipe {origin}: {key} is {value!r}, which has no effect while "
                f"{switch}={_as_toml(effective)}; leave it out of {place}, or set {switch}="
                + " or ".join(map(_as_toml, dependency.values))
            )


def _effective(values: Tables, key: str) -> object:
    """Return the value of a setting, its default where none is given."""
    value = lookup(values, key)
    return SETTINGS[key].default if value is None else value


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
