"""Settings without effect, because another setting switches off what they describe.

If a person writes such a setting, it is refused. This concerns recipe files and `SET` only: the
record of a run holds all settings, used or not.
"""

from dataclasses import dataclass

from pipeline.common.errors import PipelineError
from pipeline.recipe.keys import SETTINGS, Settings


@dataclass(frozen=True)
class Dependency:
    """A setting has an effect only while the setting `switch` has one of `values`.

    `harmless` values are always allowed, because they ask for what happens anyway.
    """

    switch: str
    values: tuple[object, ...]
    harmless: tuple[object, ...] = ()


def _rest_of_table(switch: str, *values: object) -> dict[str, Dependency]:
    """Let all other settings of a table depend on one of them."""
    table = switch[: switch.index(".") + 1]
    keys = [key for key in SETTINGS if key.startswith(table) and key != switch]
    return dict.fromkeys(keys, Dependency(switch, values))


DEPENDENCIES = {
    "split.validation_fraction": Dependency("members.folds", (0,)),
    "members.hold_outs": Dependency("members.folds", (0,), harmless=(1,)),
    "training.momentum": Dependency("training.optimizer", ("muon",)),
    "training.weight_decay": Dependency("training.optimizer", ("adamw", "muon"), harmless=(0,)),
    "training.label_smoothing": Dependency(
        "training.loss", ("categorical_crossentropy",), harmless=(0,)
    ),
    # Keras refuses XLA where TensorFlow is deterministic (model_supports_jit).
    "training.xla": Dependency("training.deterministic", (False,), harmless=("auto", "off")),
    **_rest_of_table("augmentation.engine", "warp", "keras"),
    "schedule.warm_up": Dependency("schedule.kind", ("cosine",)),
    "schedule.factor": Dependency("schedule.kind", ("exponential",)),
    **_rest_of_table("reduce_on_plateau.enabled", True),
    **_rest_of_table("early_stopping.enabled", True),
}
"""What settings depend on, by their keys."""


def merge(file_settings: Settings, changes: Settings) -> Settings:
    """Return the settings of a recipe file, changed by those of `SET`.

    Keys that `SET` unsets are left out, so that their defaults apply. So are keys of the file that
    `SET` makes unused: the person inherited them, so nothing is reported.
    """
    merged = file_settings | changes
    dropped = set(unused(merged)) - set(unused(file_settings)) - set(changes)
    return {k: value for k, value in merged.items() if value is not None and k not in dropped}


def refuse_unused(settings: Settings, changes: Settings, origin: str) -> None:
    """Raise PipelineError for the first setting that has no effect.

    `settings` are valid ones from `merge`, `changes` those that `SET` gives. `origin` names the
    recipe in the message.
    """
    for key in unused(settings):
        value, dependency = settings[key], DEPENDENCIES[key]
        if value in dependency.harmless:
            continue
        holder = "SET" if key in changes else f'the file, or unset it with SET="{key}=none"'
        effective = _as_toml(_effective(settings, dependency.switch))
        needed = " or ".join(map(_as_toml, dependency.values))
        raise PipelineError(
            f"recipe {origin}: {key} is {value!r}, which has no effect while "
            f"{dependency.switch}={effective}; leave it out of {holder}, or set "
            f"{dependency.switch}={needed}"
        )


def unused(settings: Settings) -> list[str]:
    """Return the keys in `settings` that have no effect."""
    return [
        key
        for key, dependency in DEPENDENCIES.items()
        if key in settings and _effective(settings, dependency.switch) not in dependency.values
    ]


def _effective(settings: Settings, key: str) -> object:
    """Return the value of a setting, its default where none is given."""
    value = settings.get(key)
    return SETTINGS[key].default if value is None else value


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
