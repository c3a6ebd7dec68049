"""Calls of the kaggle command that end in an outcome or in a clear error."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.competitions.kaggle.command import Outcome, run_kaggle
from pipeline.competitions.kaggle.failures import (
    KaggleError,
    Kind,
    classify,
    daily_limit,
    explain,
    forbidden,
)
from pipeline.data.spec import SPEC

_LIMITS = ("numAllowedNow", "numToday")
"""The fields of `kaggle competitions submission-limits --json` that are read here."""


class Calls:
    """Runs the kaggle command and finds out why a call failed.

    `time_limit`, in seconds, bounds each call that has no limit of its own.
    """

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit

    def call(
        self,
        arguments: Sequence[str],
        doing: str,
        *,
        time_limit: float | None = None,
        on_beat: Callable[[float], None] | None = None,
    ) -> Outcome:
        """Run the kaggle command and return its outcome. Raises PipelineError if it failed."""
        limit = self._time_limit if time_limit is None else time_limit
        outcome = run_kaggle(arguments, time_limit=limit, on_beat=on_beat)
        kind = classify(outcome)
        if kind is not None:
            raise self.failure(outcome, kind, doing)
        return outcome

    def failure(self, outcome: Outcome, kind: Kind, doing: str) -> KaggleError:
        """Return the failure of a call as an error, asking Kaggle for the reason of 403 and 400."""
        if kind is Kind.FORBIDDEN:
            return KaggleError(kind, forbidden(self._has_entered(), doing))
        if kind is Kind.BAD_REQUEST and "CreateSubmission" in outcome.text:
            limits = self._ask(["competitions", "submission-limits", SPEC.slug, "--json"], "{")
            # The command leaves out numbers that are 0.
            known = isinstance(limits, dict)
            left, today = (limits.get(name, 0) if known else None for name in _LIMITS)
            return KaggleError(kind, daily_limit(left, today))
        return explain(outcome, kind, doing)

    def _has_entered(self) -> bool | None:
        """Whether the person has joined the competition, or None if Kaggle does not say."""
        wanted = ["--search", SPEC.slug, "--format", "json(ref,userHasEntered)"]
        for row in self._ask(["competitions", "list", *wanted], "[") or []:
            if str(row.get("ref")).rsplit("/", 1)[-1] == SPEC.slug:
                return bool(row.get("userHasEntered"))
        return None

    def _ask(self, arguments: Sequence[str], opening: str) -> Any:
        """Return the JSON that a call prints, from the first line that begins with `opening`.

        None if the call fails: what it is asked for only makes an error message clearer.
        """
        outcome = run_kaggle(arguments, time_limit=self._time_limit)
        lines = outcome.stdout.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith(opening)]
        try:
            return json.loads("\n".join(lines[starts[0] :])) if starts else None
        except ValueError:
            return None
