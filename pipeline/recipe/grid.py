"""A grid of settings: some values of some keys, and all their combinations."""

from itertools import product

from pipeline.common.errors import PipelineError
from pipeline.recipe.keys import Settings, parse_value, refuse_unknown_word, shown
from pipeline.recipe.words import split_words

MOST_COMBINATIONS = 1_000

ONE_PER_PROCESS = ("training.deterministic", "members.cpus", "members.gpus")
"""Settings that TensorFlow takes once per process, before its first tensor."""


def parse_grid(text: str, settings: str = "") -> list[Settings]:
    """Return all combinations of the values in the text of `SWEEP`, the last key's first.

    `text` is "key=value,value key=value,...". A value is as in `SET`, whose text is `settings`.
    Raises PipelineError for an unknown key, one that cannot be varied or that `SET` gives too, a
    value that is missing or given twice, and for more than `MOST_COMBINATIONS` combinations.
    """
    fixed = dict(split_words("SET", settings))
    values: dict[str, list[object]] = {}
    for key, listed in split_words("SWEEP", text):
        _check_key(key, values)
        if key in fixed:
            raise PipelineError(f"SWEEP and SET both give {key}; leave it out of one of them")
        values[key] = _values(key, listed)
    if not values:
        raise PipelineError(
            'SWEEP is left out; give the values to try, as in SWEEP="training.epochs=3,4"'
        )
    combinations = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
    if len(combinations) > MOST_COMBINATIONS:
        raise PipelineError(
            f"SWEEP has {len(combinations):,} combinations; at most {MOST_COMBINATIONS:,} are "
            "allowed; give fewer values, or use make search"
        )
    return combinations


def _values(key: str, listed: str) -> list[object]:
    texts = listed.split(",")
    ends = [parse_value(key, end) for end in listed.split("..")]
    if len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        raise PipelineError(
            f"SWEEP gives {key} as {shown(listed)}, a range; make search takes those; separate "
            f'values by commas, as in SWEEP="{key}=<value>,<value>"'
        )
    if "" in texts:
        raise PipelineError(
            f"SWEEP gives {key} as {shown(listed)}, where a value is missing; separate values by "
            f'single commas, as in SWEEP="{key}=<value>,<value>"'
        )
    values = [parse_value(key, one) for one in texts]
    twice = [one for one in values if values.count(one) > 1]
    if twice:
        raise PipelineError(f"SWEEP gives {key} the value {twice[0]} twice; leave one out")
    return values


def _check_key(key: str, given: dict[str, list[object]]) -> None:
    if key in given:
        raise PipelineError(f"SWEEP gives {key} twice; put all its values into one word")
    if key == "seed":
        raise PipelineError("SWEEP gives seed; use SEEDS=<number of seeds>, and SEED for the first")
    if key in ONE_PER_PROCESS:
        raise PipelineError(f"SWEEP gives {key}, which all runs of a command share; give it in SET")
    refuse_unknown_word(key, "SWEEP")
