"""Calls of the kaggle command that return a result or raise a clear error."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.competitions.kaggle.call_failures import (
    FailureKind,
    KaggleError,
    classify,
    daily_limit,
    explain,
    forbidden,
)
from pipeline.competitions.kaggle.command import CommandResult, run_kaggle
from pipeline.data.spec import SPEC

CALL_LIMIT = 60.0
"""Seconds after which a call is stopped that neither downloads nor uploads."""

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
    ) -> CommandResult:
        """Run the kaggle command and return its result. Raises PipelineError if it failed.

        `doing` says for the error message what the call is for. The other arguments are those of
        `run_kaggle`.
        """
        limit = self._time_limit if time_limit is None else time_limit
        result = run_kaggle(arguments, time_limit=limit, on_beat=on_beat)
        kind = classify(result)
        if kind is not None:
            raise self.failure(result, kind, doing)
        return result

    def failure(self, result: CommandResult, kind: FailureKind, doing: str) -> KaggleError:
        """Return the error of a failed call. For a 403 or 400, asks Kaggle for the reason."""
        if kind is FailureKind.FORBIDDEN:
            return KaggleError(kind, forbidden(self._has_entered(), doing))
        if kind is FailureKind.BAD_REQUEST and "CreateSubmission" in result.text:
            limits = self._query(["competitions", "submission-limits", SPEC.slug, "--json"], "{")
            # The command leaves out numbers that are 0.
            known = isinstance(limits, dict)
            left, today = (limits.get(name, 0) if known else None for name in _LIMITS)
            return KaggleError(kind, daily_limit(left, today))
        return explain(result, kind, doing)

    def _has_entered(self) -> bool | None:
        """Return whether the person has joined the competition, or None if that is not known."""
        options = ["--search", SPEC.slug, "--format", "json(ref,userHasEntered)"]
        for row in self._query(["competitions", "list", *options], "[") or []:
            if str(row.get("ref")).rsplit("/", 1)[-1] == SPEC.slug:
                return bool(row.get("userHasEntered"))
        return None

    def _query(self, arguments: Sequence[str], opening: str) -> Any:
        """Return the JSON that a call prints, from the first line that begins with `opening`.

        Returns None if the call fails: its answer only makes an error message clearer.
        """
        result = run_kaggle(arguments, time_limit=self._time_limit)
        lines = result.stdout.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith(opening)]
        try:
            return json.loads("\n".join(lines[starts[0] :])) if starts else None
        except ValueError:
            return None
