"""What a search varies: a range, or some values, for each of some settings of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from pipeline.common.errors import PipelineError
from pipeline.recipe import Recipe
from pipeline.recipe.keys import (
    SETTINGS,
    Settings,
    flatten,
    parse_value,
    refuse_unknown_word,
    shown,
)
from pipeline.recipe.unused import unused
from pipeline.recipe.varies import Varies
from pipeline.recipe.words import split_words

if TYPE_CHECKING:
    from optuna import Trial

DROPOUT = ("network.dropout", "network.convolution_dropout")
NOT_VARIED = (
    *("members.", "split.", "checkpoints.", "prediction."),
    *("network.file", "training.deterministic"),
)
"""How settings begin that decide on which rows, or how, a trial is judged."""
DIGITS = 3
"""Significant digits of a number that a search draws, so that a person can read the recipe."""


Value = str | int | float | bool | None


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, drawn evenly, or with `log` their logarithms are."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, trial: Trial, key: str) -> object:
        """Return the trial's value of the setting `key`, with `DIGITS` significant digits."""
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        value = trial.suggest_float(key, self.low, self.high, log=self.log)
        return float(f"{value:.{DIGITS}g}")

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that a recipe must allow, so that it allows all."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:.6g} to {self.high:.6g}{', logarithmic' * self.log}"


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Value, ...]

    def draw(self, trial: Trial, key: str) -> object:
        """Return the trial's value of the setting `key`."""
        return trial.suggest_categorical(key, self.values)

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that a recipe must allow, so that it allows all."""
        return self.values

    def __str__(self) -> str:
        return " or ".join(map(str, self.values))


Space = Mapping[str, Range | Choice]
"""What is varied, by dotted key."""


def own_values(recipe: Recipe, rates: Mapping[str, float]) -> Settings:
    """Return a recipe's own value of every setting, None where it has none.

    `rates` are the network's own dropout rates, by name.
    """
    values = flatten(recipe.model_dump(exclude={"name"}).items(), recipe.name)
    missing = [key for key in DROPOUT if values[key] is None]
    return values | {key: rates.get(key.partition(".")[2]) for key in missing}


def offered_space(values: Settings, rates: Mapping[str, float]) -> dict[str, Range]:
    """Return the ranges that the schema offers for a recipe with these `own_values`.

    Settings without an effect in this recipe are left out. A range always holds the own value.
    """
    without_effect = unused({key: value for key, value in values.items() if value is not None})
    return {
        key: _range(varies, values[key], _is_whole(key))
        for key, field in SETTINGS.items()
        for varies in field.metadata
        if isinstance(varies, Varies)
        and key not in without_effect
        and values[key] is not None
        and (key not in DROPOUT or key.partition(".")[2] in rates)
    }


def _is_whole(key: str) -> bool:
    annotation = SETTINGS[key].annotation
    return int in (annotation, *get_args(annotation))


def _range(varies: Varies, value: float, whole: bool) -> Range:
    if varies.factor:
        low, high = value / varies.factor, value * varies.factor
    else:
        low, high = min(varies.low, value), max(varies.high, value)
    if whole:
        low, high = max(min(1, value), int(low)), int(high)
    return Range(low, high, varies.log, whole)


def chosen_space(
    text: str, offered: Mapping[str, Range], values: Settings
) -> dict[str, Range | Choice]:
    """Return what the text of `VARY` asks for, all that is `offered` where it is empty.

    A word is a key that is offered, key=<low>..<high>, or key=<value>,<value>. Each range or choice
    is extended by the recipe's own value, of which `values` has all. Raises PipelineError for any
    other word.
    """
    space: dict[str, Range | Choice] = {}
    for key, given in split_words("VARY", text, bare=True):
        if key in space:
            raise PipelineError(f"VARY gives {key} twice; leave one out")
        _check_key(key)
        if not given and key not in offered:
            raise PipelineError(
                f"VARY gives {key}, for which this recipe has no range; write "
                f'VARY="{key}=<low>..<high>" or VARY="{key}=<value>,<value>"; those with a range '
                f"are {', '.join(offered)}"
            )
        space[key] = _given(key, given, values[key]) if given else offered[key]
    return space or dict(offered)


def _check_key(key: str) -> None:
    refuse_unknown_word(key, "VARY")
    if key == "seed" or key.startswith(NOT_VARIED):
        raise PipelineError(f"VARY gives {key}, which is the same in all trials; leave it out")


def _given(key: str, text: str, own: Value) -> Range | Choice:
    """Return the range or the choice that a person has written for a setting."""
    low_text, dots, high_text = text.partition("..")
    if not dots:
        values = [parse_value(key, one) for one in text.split(",")]
        plain = all(one is None or isinstance(one, str | int | float) for one in values)
        choices = tuple(dict.fromkeys([own, *values])) if plain else ()
        if len(values) < 2 or len(choices) < 2 or "" in values:
            raise PipelineError(
                f"VARY gives {key} as {shown(text)}; it must be <low>..<high>, or two values or "
                "more, separated by commas"
            )
        return Choice(choices)
    low, high = parse_value(key, low_text), parse_value(key, high_text)
    whole = _is_whole(key)
    kinds = (int,) if whole else (int, float)
    if not all(type(one) in kinds for one in (low, high)) or not low < high:
        raise PipelineError(
            f"VARY gives {key} as {shown(text)}; both ends must be {'whole ' * whole}numbers, the "
            "lower one first"
        )
    if not isinstance(own, int | float):
        raise PipelineError(
            f"VARY gives {key} a range, but the recipe has no number there; give it one with SET, "
            "or leave it out of VARY"
        )
    low, high = min(low, own), max(high, own)
    offers = [one for one in SETTINGS[key].metadata if isinstance(one, Varies)]
    return Range(low, high, any(one.log for one in offers) and low > 0, whole)
