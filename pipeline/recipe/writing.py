"""A recipe as the text of a file that loads as the same recipe."""

import json

from pipeline.recipe.keys import SETTINGS, flatten, nest
from pipeline.recipe.schema import Recipe
from pipeline.recipe.unused import unused


def as_toml(recipe: Recipe) -> str:
    """Return a recipe file with the settings that differ from the defaults and have an effect."""
    values = flatten(recipe.model_dump(exclude={"name"}).items(), recipe.name)
    without_effect = unused(values)
    chosen = {
        key: value
        for key, value in values.items()
        if value is not None and value != SETTINGS[key].default and key not in without_effect
    }
    lines = [f"seed = {recipe.seed}"]
    for table, settings in nest(chosen | {"seed": recipe.seed}).items():
        if isinstance(settings, dict):
            lines += ["", f"[{table}]"]
            lines += [f"{name} = {_value(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """Return a string, a number or a truth value, of which JSON and TOML have the same form."""
    return json.dumps(value, ensure_ascii=False)
