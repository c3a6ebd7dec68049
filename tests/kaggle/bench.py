"""What a test needs to try the source and the competition at a stand-in for Kaggle."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle.download import KaggleSource
from pipeline.competitions.kaggle.journal import Journal
from pipeline.competitions.kaggle.upload import KaggleCompetition
from pipeline.competitions.protocol import Entry
from tests.kaggle_stand_in import KEY, TOKEN, UPLOAD_SESSION, StandIn

SETTINGS = "https://www.kaggle.com/settings"
RULES = "https://www.kaggle.com/competitions/digit-recognizer/rules"


@dataclass
class Bench:
    """The source and the competition with short times, the stand-in, and the reported lines."""

    server: StandIn
    home: Path
    folder: Path
    csv: Path
    lines: list[str] = field(default_factory=list)

    def source(self, **settings: Any) -> KaggleSource:
        """Return the source with the given settings."""
        defaults: dict[str, Any] = {"folder": self.folder, "report": self.lines.append}
        return KaggleSource(**(defaults | settings))

    def competition(self, **settings: Any) -> KaggleCompetition:
        """Return a competition whose pauses are short; `settings` override them."""
        short: dict[str, Any] = {"poll": 0.1, "settle_limit": 0.0, "score_limit": 20.0}
        short |= {"report": self.lines.append, "journal": Journal(self.home / "handed")}
        return KaggleCompetition(**(short | settings))

    def submit(self, token: str = "t-1", **settings: Any) -> Entry:
        """Submit the bench's CSV with a token."""
        return self.competition(**settings).submit(self.csv, f"- run é, {token}", token)

    def failure(self, action: Callable[[], object]) -> str:
        """Return the one line that `action` fails with, which must contain no secret."""
        with pytest.raises(PipelineError) as caught:
            action()
        text = str(caught.value)
        assert "\n" not in text
        self.assert_no_secret(text)
        return text

    def assert_no_secret(self, text: str) -> None:
        """Check `text` and every progress line for the stand-in's secrets."""
        for secret in (TOKEN, KEY, UPLOAD_SESSION):
            assert secret not in "\n".join([text, *self.lines])


def enter(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Make `environment` the whole environment of this process."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
