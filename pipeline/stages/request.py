"""What a person asked for: the Makefile's variables, checked."""

import os
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Self

from pipeline import recipe as recipes
from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.executors.plan import check_executor
from pipeline.recipe import Recipe

DEFAULT_RECIPE = "bn_cnn"

STAGES_WITHOUT_RUN = ("data", "split")

MOST_SEED = 2**32 - 1

LONGEST_SUBMISSION_MESSAGE = 500  # characters


def check_text(name: str, value: str) -> None:
    """Raise PipelineError for the value of a variable that is empty, or not text in UTF-8."""
    if not value.strip():
        raise PipelineError(f"{name} is empty; give it a value, or leave it out")
    try:
        value.encode()
    except UnicodeEncodeError:  # Python has read its bytes as lone surrogates
        raise PipelineError(
            f"{name} is {printable(repr(value))}, which is not text in UTF-8; type it again in a "
            "terminal that uses UTF-8"
        ) from None


def whole_number(name: str, value: object, least: int, most: int) -> int:
    """Return a variable's value as a number. Raises PipelineError unless it is one in range."""
    text = str(value).strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text) or not least <= int(text) <= most:
        raise PipelineError(
            f"{name} is {printable(repr(value))}; a whole number from {least} to {most} is needed"
        )
    return int(text)


def in_kernel() -> bool:
    """Return whether this process runs in a kernel at Kaggle."""
    return "KAGGLE_KERNEL_RUN_TYPE" in os.environ


@dataclass(frozen=True, kw_only=True)
class Request:
    """A checked request.

    `runs` are the ids, or unique beginnings of ids, in `RUN`. Without them the run is the one that
    the recipe, the data and the code determine, and only then the recipe matters. `command` is the
    command as typed. `kaggle_image` asks for the libraries of Kaggle's image, `tensorboard` for
    event files. Raises PipelineError for an unknown `executor`, and for a `message` that is too
    long or has more than one line.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(name=DEFAULT_RECIPE))
    source: str = "auto"
    practice_seed: int = 0
    runs: tuple[str, ...] = ()
    message: str = ""
    force: bool = False
    executor: str = "auto"
    kaggle_image: bool = False
    tensorboard: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        check_executor(self.executor)
        if self.kaggle_image and self.executor != "kaggle" and not in_kernel():
            raise PipelineError(
                f"KAGGLE_IMAGE is 1, and EXECUTOR is {self.executor!r}; it goes with "
                "EXECUTOR=kaggle alone"
            )
        categories = {unicodedata.category(letter) for letter in self.message}
        if len(self.message) > LONGEST_SUBMISSION_MESSAGE or categories & {"Cc", "Zl", "Zp"}:
            raise PipelineError(
                f"MESSAGE is {printable(repr(self.message))}; one line of at most "
                f"{LONGEST_SUBMISSION_MESSAGE} characters is needed, without control characters"
            )

    @classmethod
    def parse(
        cls,
        stage: str,
        *,
        recipe: str = DEFAULT_RECIPE,
        settings: str = "",
        seed: int | None = None,
        run: str = "",
        **others: Any,
    ) -> Self:
        """Check what a person gave for a stage, and return it as a request.

        `recipe`, `settings`, `seed` and `run` are the values of RECIPE, SET, SEED and RUN, the
        others are the request's own. Raises PipelineError for a value that is not allowed, or for
        variables that exclude each other.
        """
        if run and stage in STAGES_WITHOUT_RUN:
            raise PipelineError(
                f"RUN is {run!r}, but make {stage} takes no RUN; leave it out, or use it with "
                "train, ensemble, submission, submit or look"
            )
        if run and (recipe != DEFAULT_RECIPE or settings or seed is not None):
            raise PipelineError(
                f"RUN is {run!r}, and a run has its own recipe; leave out RECIPE, SET and SEED, or "
                "leave out RUN to train another run"
            )
        return cls(
            recipe=recipes.load(recipe, settings, seed),
            runs=tuple(run.replace(",", " ").split()),
            **others,
        )
