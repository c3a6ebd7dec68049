"""`WHERE`: which runs are compared."""

import operator
import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import TypeAdapter, ValidationError

from pipeline.common.errors import PipelineError
from pipeline.evaluation.comparison.recipes import seeds_of
from pipeline.recipe import names as packaged_recipes
from pipeline.recipe.keys import SETTINGS, allowed_numbers, closest_setting, parse_value, shown
from pipeline.recipe.spelling import closest
from pipeline.runs import Run, RunStatus, TrainingRecord

LONGEST = 10_000  # characters

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORD = re.compile(r"([^=!<>]*)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)


def _recipes(run: Run) -> list[str]:
    return run.record.recipe_name.split(" + ")


KEYS: dict[str, Callable[[Run], Sequence[Any]]] = {
    "recipe": _recipes,
    "status": lambda run: [run.state()],
    "seed": seeds_of,
    "source": lambda run: [run.record.source],
    "split": lambda run: [run.record.split_fingerprint],
    "run": lambda run: [run.id],
    "kind": lambda run: [run.record.kind],
}
"""What a run has by a key that is no setting of its recipe; an average has several values."""

_BY_BEGINNING = ("split", "run")


@dataclass(frozen=True)
class Condition:
    """A condition on what a run has by `key`; `sign` is one of = != < <= > >=.

    "=" holds if everything that the run has there is among the values. An average of runs has no
    settings, so that no condition on a setting holds.
    """

    key: str
    sign: str
    values: tuple[Any, ...]

    def holds(self, run: Run) -> bool:
        """Return whether a run fulfils the condition."""
        found = _found(run, self.key)
        if in_order := _ORDERS.get(self.sign):
            (limit,) = self.values
            return bool(found) and all(one is not None and in_order(one, limit) for one in found)
        equal = all(any(self._fits(one, value) for value in self.values) for one in found)
        return bool(found) and equal == (self.sign == "=")

    def _fits(self, found: Any, value: Any) -> bool:
        if self.key in _BY_BEGINNING:
            return str(found).startswith(value)
        return bool(found == value)


def _found(run: Run, key: str) -> Sequence[Any]:
    if key in KEYS:
        return KEYS[key](run)
    if not isinstance(run.record, TrainingRecord):
        return []
    table, _, name = key.partition(".")
    return [getattr(getattr(run.record.recipe, table), name)]


def select(where: str, runs: Sequence[Run]) -> list[Run]:
    """Return the runs that fulfil all conditions in `where`, in their order.

    `where` holds words like "recipe=fast,quick", "status!=done" or "training.epochs<20". Raises
    PipelineError for an unknown key, and for a value that no run can have there.
    """
    conditions = [_parse(word, runs) for word in _words(where)]
    return [run for run in runs if all(condition.holds(run) for condition in conditions)]


def _words(where: str) -> list[str]:
    if len(where) > LONGEST:
        raise PipelineError(
            f"WHERE is {shown(where)}; at most {LONGEST:,} characters are allowed; give fewer "
            "conditions"
        )
    try:
        return shlex.split(where)
    except ValueError as error:
        raise PipelineError(
            f'WHERE is {shown(where)}: {error}; write WHERE="key=value ..."'
        ) from None


def _parse(word: str, runs: Sequence[Run]) -> Condition:
    """Return a word as a condition whose values are of the key's type."""
    match = _WORD.fullmatch(word)
    if not match:
        raise PipelineError(
            f"WHERE holds {shown(word)}; each word must be a key, one of = != < <= > >=, and a "
            'value, as in WHERE="recipe=fast training.batch_size>64"'
        )
    key, sign, text = match.groups()
    if key not in KEYS and key not in SETTINGS:
        near = closest(key, KEYS) or closest_setting(key)
        raise PipelineError(
            f"WHERE has the unknown key {shown(key)}{f' (did you mean {near}?)' if near else ''}; "
            f"allowed are {', '.join(KEYS)}, and the keys of a recipe, as training.batch_size"
        )
    if sign in _ORDERS:
        return Condition(key, sign, (_limit(key, sign, text),))
    return Condition(key, sign, tuple(_value(key, one, runs) for one in text.split(",")))


def _limit(key: str, sign: str, text: str) -> int | float:
    """Return the number after <, <=, > or >=."""
    if key != "seed" and (key in KEYS or allowed_numbers(SETTINGS[key]) is None):
        raise PipelineError(
            f"WHERE holds {shown(key + sign + text)}, but {key} is no number; use = or !="
        )
    try:
        return int(text) if text.isdecimal() and len(text) < 100 else float(text)
    except ValueError:
        raise PipelineError(
            f"WHERE gives {shown(text)} for {key}; a number is needed after {sign}"
        ) from None


def _value(key: str, text: str, runs: Sequence[Run]) -> Any:
    """Return a value as runs hold it by this key. Raises PipelineError if none can."""
    seen = list(dict.fromkeys(str(one) for run in runs for one in _found(run, key)))
    match key:
        case "status":
            return _one_of(key, text, get_args(RunStatus))
        case "kind":
            return _one_of(key, text, ("training", "average"))
        case "recipe":
            packaged = [name.rpartition("/")[2] for name in packaged_recipes()]
            return _one_of(key, text, [*packaged, *seen])
        case "source":
            path = os.path.abspath(os.path.expanduser(text))
            return (
                path if path in seen else _one_of(key, text, ["kaggle", "practice", "mnist", *seen])
            )
        case "seed":
            if not (text.isdecimal() and len(text) < 100):
                raise PipelineError(
                    f"WHERE gives {shown(text)} for seed; a whole number is needed, 0 or more"
                )
            return int(text)
        case "split" | "run":
            if not (text and any(one.startswith(text) for one in seen)):
                near = closest(text, seen)
                raise PipelineError(
                    f"WHERE gives {shown(text)} for {key}, with which no {key} of the runs begins"
                    f"{f' (did you mean {near}?)' if near else ''}; make compare ALL=1 lists them"
                )
            return text
    return _setting(key, text)


def _one_of(key: str, text: str, known: Iterable[str]) -> str:
    names = list(dict.fromkeys(known))
    if text in names:
        return text
    near = closest(text, names)
    raise PipelineError(
        f"WHERE gives {shown(text)} for {key}{f' (did you mean {near}?)' if near else ''}; it must "
        f"be one of {', '.join(names)}"
    )


def _setting(key: str, text: str) -> Any:
    """Return the value of a recipe's key. Raises PipelineError for one that is not allowed."""
    field, value = SETTINGS[key], parse_value(key, text)
    annotation: Any = Annotated[field.annotation, field]  # mypy takes no type made at run time
    try:
        return TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Input should be ")
        near = closest(text, map(str, get_args(field.annotation)))
        raise PipelineError(
            f"WHERE gives {shown(value)} for {key}{f' (did you mean {near}?)' if near else ''}; it "
            f"must be {allowed_numbers(field) or problem}"
        ) from None
