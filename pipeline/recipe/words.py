"""The words of a variable that changes settings: "key=value key=value ..."."""

import shlex

from pipeline.common.errors import PipelineError
from pipeline.recipe.keys import TABLES, Settings, shown

LONGEST = 10_000  # characters


def as_words(settings: Settings) -> str:
    """Return settings as a person would type them in `SET`."""
    words = []
    for key, value in settings.items():
        text = "none" if value is None else str(value)
        text = text.lower() if isinstance(value, bool) else text
        words.append(shlex.quote(f"{key}={text}"))
    return " ".join(words)


def split_words(variable: str, text: str, bare: bool = False) -> list[tuple[str, str]]:
    """Return the keys and the values, as typed, in the text of a variable such as `SET`.

    Words are separated as in a shell. With `bare`, a word may be a key alone, whose value is then
    empty. Raises PipelineError for a word that is not key=value.
    """
    if len(text) > LONGEST:
        raise PipelineError(
            f"{variable} is {shown(text)}; at most {LONGEST:,} characters are allowed; write a "
            "recipe file"
        )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise PipelineError(
            f'{variable} is {shown(text)}: {error}; write {variable}="key=value ..."'
        ) from None
    pairs: list[tuple[str, str]] = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and pairs and pairs[-1][1].endswith(","):
            raise PipelineError(
                f"{variable} holds a blank between {shown(pairs[-1][1])} and {shown(word)}; "
                "separate values by commas alone"
            )
        if not key or not (equals or bare):
            raise PipelineError(
                f"{variable} holds {shown(word)}; each word must be key=value, as in "
                f'{variable}="training.epochs=3"'
            )
        if key in TABLES:
            raise PipelineError(
                f"{variable} gives the whole table {key}; use dotted keys, as in "
                f'{variable}="{key}.{next(iter(TABLES[key]))}=..."'
            )
        pairs.append((key, value))
    return pairs
