"""The practice competition's list of submissions, a CSV file with the kaggle command's columns."""

import csv
import io
from pathlib import Path
from typing import cast, get_args

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.competitions.protocol import Entry, SubmissionStatus

_SCORES = ("publicScore", "privateScore", "hiddenScore")
COLUMNS = ("ref", "fileName", "date", "description", "status", *_SCORES)
"""Columns of the list, named as in `kaggle competitions submissions`. Only hiddenScore, which
counts all hidden rows, has no counterpart there."""


def read_entries(path: Path) -> list[Entry]:
    """Return the entries of the list, oldest first; none if there is no file.

    Raises PipelineError if the file is not such a list.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_entry(row) for row in csv.DictReader(file, strict=True)]
    except FileNotFoundError:
        return []
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise PipelineError(
            f"{path}: is not a list of submissions ({error!r}); the columns {','.join(COLUMNS)} "
            "are needed, correct or delete the file"
        ) from None


def write_entries(path: Path, entries: list[Entry]) -> None:
    """Write the list, oldest first, completely or not at all. Scores get 5 decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerow(
            [
                entry.reference,
                entry.file_name,
                entry.submitted_at,
                entry.message,
                entry.status,
                *(
                    "" if score is None else f"{score:.5f}"
                    for score in (entry.public_score, entry.private_score, entry.hidden_score)
                ),
            ]
        )
    files.write_text(path, text.getvalue())


def _entry(row: dict[str, str]) -> Entry:
    if row["status"] not in get_args(SubmissionStatus):
        raise ValueError(f"status {row['status']!r}")
    public, private, hidden = (float(row[name]) if row[name] else None for name in _SCORES)
    return Entry(
        reference=row["ref"],
        file_name=row["fileName"],
        submitted_at=row["date"],
        message=row["description"],
        status=cast(SubmissionStatus, row["status"]),
        public_score=public,
        private_score=private,
        hidden_score=hidden,
    )
