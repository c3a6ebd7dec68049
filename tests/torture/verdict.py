"""What torture found: how much was tried, and the faults by their kind."""

import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from pipeline.common.errors import LONGEST_MESSAGE, PipelineError
from tests.kaggle_state import KEY, TOKEN, UPLOAD_SESSION

Value = TypeVar("Value")

SECRETS = (TOKEN, KEY, UPLOAD_SESSION)
LONGEST_REPORT = 3_000  # characters


class LostError(AssertionError):
    """What existed is gone or changed, what is good is not shown, or wrong data are accepted."""


class LeakedError(AssertionError):
    """A secret, or text that controls a terminal or a page, came through."""


class DoubleError(AssertionError):
    """A CSV was submitted twice."""


KINDS: dict[type[BaseException], str] = {
    LostError: "lost",
    LeakedError: "leaked",
    DoubleError: "double",
}
OTHER = "tracebacks"


@dataclass
class Verdict:
    """The number of inputs tried, and how many different faults of each kind they showed.

    Any exception that is neither a `PipelineError` of one line nor one of the above counts as a
    traceback. `reports` describe the faults, each with its input.
    """

    tried: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    reports: list[str] = field(default_factory=list)

    def note(self, error: BaseException, about: str = "") -> None:
        """Count a fault, or each of a group of them."""
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                self.note(one, about)
            return
        kind = KINDS.get(type(error), OTHER)
        self.faults[kind] += 1
        # An assertion says all by itself. Other exceptions need the place where they were raised.
        limit = 0 if isinstance(error, AssertionError) else -4
        text = "".join(traceback.format_exception(error, limit=limit, chain=False)).strip()
        if len(text) > LONGEST_REPORT:
            text = f"{text[: LONGEST_REPORT // 2]}\n...\n{text[-LONGEST_REPORT // 2 :]}"
        self.reports.append(f"{kind}: {about}\n{text}".replace(": \n", ": "))

    def add(self, other: "Verdict") -> None:
        """Add another subject's verdict."""
        self.tried += other.tried
        self.faults += other.faults
        self.reports += other.reports

    def __str__(self) -> str:
        counts = ", ".join(f"{self.faults[kind]} {kind}" for kind in [*KINDS.values(), OTHER])
        return f"{self.tried} tried, {counts}"


def examine(
    inputs: SearchStrategy[Value], check: Callable[[Value], None], count: int, number: int
) -> Verdict:
    """Try `count` inputs, drawn with the seed `number`, and shrink those that `check` raises for.

    After a fault, Hypothesis ends the search early.
    """
    verdict = Verdict()
    if not count:
        return verdict

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def try_one(given_input: Value) -> None:
        verdict.tried += 1
        check(given_input)

    try:
        try_one()
    except Exception as error:
        verdict.note(error)
    return verdict


def result(action: Callable[[], Value]) -> Value | None:
    """Return the result of `action`, None where it refuses its input in one harmless line."""
    try:
        return action()
    except PipelineError as error:
        check_line(str(error))
        return None


def check_line(text: str) -> None:
    """Raise unless an error message is one printable line of limited length, without secrets."""
    check_secrets(text)
    if not text.isprintable():
        raise LeakedError(f"control characters in the message {text[:300]!r}")
    if not 0 < len(text) <= LONGEST_MESSAGE + 50:
        raise AssertionError(f"a message of {len(text)} characters: {text[:300]!r}")


def check_secrets(text: str) -> None:
    """Raise LeakedError if one of the stand-in's secrets is in `text`."""
    for secret in SECRETS:
        if secret in text:
            at = text.index(secret)
            raise LeakedError(f"a secret: {text[max(at - 100, 0) : at + 60]!r}")


def content(folder: Path) -> dict[str, bytes]:
    """Return the files in `folder` and below, by their relative paths."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@contextmanager
def workspace() -> Iterator[Path]:
    """Yield an empty folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as name:
        yield Path(name)
