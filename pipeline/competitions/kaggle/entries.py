"""Reads what `kaggle competitions submissions -v` prints."""

import csv
import io
from datetime import UTC, datetime
from typing import get_args

from pipeline.common.errors import PipelineError
from pipeline.competitions.protocol import Entry, SubmissionStatus

# `KaggleApi.submission_fields` of kaggle 2.2.4.
_HEADER = "ref,fileName,date,description,status,publicScore,privateScore"
_NO_SUBMISSIONS = "No submissions found"


def parse_entries(stdout: str) -> list[Entry]:
    """Return the submissions in the order of the list, which is newest first.

    Warnings before the CSV are skipped. Raises PipelineError if there is no list in `stdout`.
    """
    lines = stdout.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.strip() == _HEADER]
    if starts:
        # Joined again and not read line by line: a message may contain line breaks in quotes.
        rows = csv.DictReader(io.StringIO("".join(lines[starts[0] :]), newline=""), restval="")
        return [_entry(row) for row in rows]
    if _NO_SUBMISSIONS in stdout:
        return []
    raise PipelineError(
        "the kaggle command printed no list of submissions that this version understands; the "
        f"columns must be {_HEADER}; run `make setup` to get the locked version of kaggle"
    )


def _entry(row: dict[str, str]) -> Entry:
    """Return one row of the list as an Entry."""
    # An unknown status counts as pending: a later reading of the list will tell.
    word = row["status"].rsplit(".", 1)[-1].lower()
    values = {
        **row,
        "date": _utc(row["date"]),
        "status": word if word in get_args(SubmissionStatus) else "pending",
        "publicScore": _score(row["publicScore"]),
        "privateScore": _score(row["privateScore"]),
    }
    return Entry.model_validate(values)


def _score(text: str) -> float | None:
    """Return a score, or None if the list shows none ("" or "None")."""
    try:
        return float(text)
    except ValueError:
        return None


def _utc(text: str) -> str:
    """Return a date of the list, which is UTC without a zone, in ISO 8601 to the second."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat(timespec="seconds")
