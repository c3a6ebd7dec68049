"""The record of uploads: one row per attempt, in submissions/ledger.csv."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipeline.common.files import locked
from pipeline.common.progress import Report
from pipeline.competitions.csv_records import read_records, write_records
from pipeline.competitions.protocol import Entry, Reference, Score, SubmissionStatus
from pipeline.runs import now


class Upload(BaseModel):
    """One attempt to submit one CSV.

    `sha256` is that of the CSV, `token` is the unique word in its message. `status` is "sent"
    until the competition has listed the submission, then the status that it lists. Scores are
    shares in [0, 1] as the competition shows them, empty if it shows none. `revealed_at` is when
    `make reveal` first showed the private score and `hidden_score`, which counts all hidden rows,
    public and private; it is empty before. A person's own columns are kept.
    """

    model_config = ConfigDict(extra="allow")

    run: str
    sha256: str
    competition: str
    token: str
    message: str
    submitted_at: str
    reference: Reference = ""
    status: Literal["sent", SubmissionStatus] = "sent"
    public_score: Score = None
    private_score: Score = None
    hidden_score: Score = None
    revealed_at: str = ""

    @property
    def shown_at(self) -> str:
        """When the private score was shown, empty if never. Earlier versions showed it at once."""
        shown_at_once = self.submitted_at if self.hidden_score is not None else ""
        return self.revealed_at or shown_at_once

    def listed_as(self, entry: Entry) -> "Upload":
        """Return the row updated by the competition's entry; a private score noted is kept."""
        listed = entry.model_dump(exclude={"file_name", "message"})
        if entry.private_score is None:
            del listed["private_score"]
        listed["submitted_at"] = entry.submitted_at or self.submitted_at
        return self.model_copy(update=listed)

    def revealed_as(self, row: "Upload") -> "Upload":
        """Return this row with what a reveal has noted in another state of it, if any."""
        if not row.revealed_at or self.revealed_at:
            return self
        noted = row.model_dump(include={"private_score", "hidden_score", "revealed_at"})
        return self.model_copy(update=noted)


def after_reveal(upload: Upload, uploads: Iterable[Upload]) -> bool:
    """Return whether an upload was submitted after a private score had been shown.

    Only those of `uploads` count that went to the same competition.
    """
    shown = [one.shown_at for one in uploads if one.competition == upload.competition]
    first = min(filter(None, shown), default="")
    return bool(first) and upload.submitted_at > first


@dataclass(frozen=True)
class Ledger:
    """The rows of a ledger file, oldest first. Every change rewrites the whole file."""

    path: Path

    def uploads(self) -> list[Upload]:
        """Return all rows. Raises PipelineError if the file is damaged."""
        return read_records(self.path, Upload, "a ledger of uploads")

    def of_csv(self, competition: str, sha256: str, force: bool = False) -> Upload | None:
        """Return the newest upload of the CSV with this checksum to a competition, if any.

        An upload with the status "error" counts only where there is no other. Without `force`, one
        that the competition has listed counts before those that were refused or interrupted.
        """
        found = [
            upload
            for upload in reversed(self.uploads())
            if (upload.competition, upload.sha256) == (competition, sha256)
        ]
        taken = [upload for upload in found if upload.status != "error"]
        listed = [upload for upload in taken if upload.status != "sent"]
        return next(iter((not force and listed) or taken or found), None)

    def begin(self, run: str, sha256: str, competition: str, message: str) -> Upload:
        """Add a row for an attempt that is about to be made, and return it.

        The row is written before anything is sent, so that an interrupted attempt can be found
        again by its token. The token is the run, the checksum and the attempt's number, ended by a
        colon so that no token is the beginning of another. It comes first in the message, so that
        it is kept if the message is shortened.
        """
        with self._locked():
            uploads = self.uploads()
            number = sum(upload.sha256 == sha256 for upload in uploads) + 1
            token = f"{run}.{sha256[:8]}.{number}:"
            upload = Upload(
                run=run,
                sha256=sha256,
                competition=competition,
                token=token,
                message=f"{token} {message}".strip(),
                submitted_at=now(),
            )
            write_records(self.path, Upload, [*uploads, upload])
        return upload

    def update(self, upload: Upload) -> None:
        """Replace the row that has the upload's token and competition.

        What a reveal has noted in it meanwhile is kept.
        """
        key = (upload.competition, upload.token)
        with self._locked():
            rows = [
                upload.revealed_as(row) if (row.competition, row.token) == key else row
                for row in self.uploads()
            ]
            write_records(self.path, Upload, rows)

    def reveal(self, upload: Upload, private_score: float, hidden_score: float) -> Upload:
        """Note in an upload's row that its private score is shown now; return the row.

        So do the rows of other uploads of the same CSV. The time of the first reveal is kept.
        """
        key = (upload.competition, upload.sha256)
        with self._locked():
            uploads = self.uploads()
            same_csv = [(one.competition, one.sha256) == key for one in uploads]
            times = [one.shown_at for one in compress(uploads, same_csv) if one.shown_at]
            revealed = {
                "private_score": private_score,
                "hidden_score": hidden_score,
                "revealed_at": min(times, default=now()),
            }
            rows = [
                one.model_copy(update=revealed) if same else one
                for one, same in zip(uploads, same_csv, strict=True)
            ]
            write_records(self.path, Upload, rows)
        return upload.model_copy(update=revealed)

    def submitting(self, report: Report) -> AbstractContextManager[None]:
        """Keep other processes from submitting until the block ends."""
        path = self.path.parent / ".submit.lock"
        return locked(path, lambda: report("waiting for another submission to end"))

    def _locked(self) -> AbstractContextManager[None]:
        """Keep other processes from changing the ledger between a read and a write."""
        return locked(self.path.parent / ".ledger.lock")
