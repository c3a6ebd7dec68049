"""The competition at Kaggle: submissions go there through the kaggle command.

The command's exit code proves nothing about a submission, in either direction. Whether a
submission arrived is therefore always read from the list of submissions.
"""

import re
import time
from contextlib import suppress
from csv import DictReader
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import get_args

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle.calls import UNDECIDED, call, classify, failure
from pipeline.competitions.kaggle.command import run_kaggle
from pipeline.competitions.kaggle.credentials import require_credentials
from pipeline.competitions.protocol import Entry, SubmissionStatus
from pipeline.data.spec import SPEC

_PAGE_SIZE = "200"
"""The most that one page of the list may hold (`kaggle competitions submissions --help`)."""

# `KaggleApi.submission_fields` of kaggle 2.2.4.
_HEADER = "ref,fileName,date,description,status,publicScore,privateScore"


@dataclass(frozen=True, kw_only=True)
class KaggleCompetition:
    """The competition `kaggle`: see `Competition` for what each method promises.

    `report` gets progress lines. Times are in seconds: `upload_limit` bounds the upload.
    `settle_limit` is how long to look for a submission in the list after its upload. `score_limit`
    is how long to wait for its score. `poll` is the pause between two readings of the list.
    """

    key = "kaggle"

    report: Report
    # 240 kB; the command would try for 369 s if the storage never answers.
    upload_limit: float = 180.0
    settle_limit: float = 30.0
    score_limit: float = 300.0
    poll: float = 5.0

    def check_ready(self) -> None:
        """Raise PipelineError if there are no credentials to submit with."""
        require_credentials()

    def submissions(self) -> list[Entry]:
        """Return the newest 200 submissions, newest first. Raises PipelineError."""
        arguments = ["competitions", "submissions", SPEC.slug, "-v", "--page-size", _PAGE_SIZE]
        return parse_entries(call(arguments, "listing the submissions").stdout)

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Send `csv` with `message`, unless an entry has `token`, and wait for the score.

        Nothing is ever sent twice: after a failed upload the list is read before the failure is
        reported. The waiting is done here, because the command has no option for it. Raises
        PipelineError, and ValueError if `token` is not part of `message`.
        """
        if token not in message:
            raise ValueError(f"the message must contain the token {token!r}: {message!r}")
        if not csv.is_file():
            raise PipelineError(f"{csv}: there is no such file to submit; run `make submission`")
        entry = self._find(token)
        if entry is not None:
            self.report(f"already submitted to Kaggle as {entry.reference}: not sent again")
        else:
            entry = self._send(csv, message, token)
            self.report(f"Kaggle lists the submission as {entry.reference}")
        return self._await_score(entry, token)

    def _find(self, token: str) -> Entry | None:
        """Return the newest entry whose message contains `token`, if any."""
        return next((entry for entry in self.submissions() if token in entry.message), None)

    def _send(self, csv: Path, message: str, token: str) -> Entry:
        """Upload `csv` once and return the entry that the list then shows."""
        doing = f"uploading {csv.name}"

        def report_time(seconds: float) -> None:
            self.report(f"{doing}: {seconds:.0f} s of at most {self.upload_limit:g} s")

        self.report(f"{doing} to Kaggle")
        # Joined with "=", so that a message or path may begin with a dash. A cancelled upload
        # may still have arrived, but the next attempt reads the list first and finds it.
        options = ["-q", f"--file={csv}", f"--message={message}"]
        arguments = ["competitions", "submit", SPEC.slug, *options]
        result = run_kaggle(arguments, time_limit=self.upload_limit, on_beat=report_time)
        kind = classify(result)
        patience = self.settle_limit if kind is None or kind in UNDECIDED else 0.0
        try:
            entry = self._read_back(token, patience)
        except PipelineError as error:
            cause = f"; the upload: {failure(result, kind, doing)}" if kind else ""
            raise PipelineError(
                f"whether Kaggle took {csv.name} is not known, because the list could not be read: "
                f"{error}{cause}; look at {SPEC.url}/submissions"
            ) from None
        if entry is not None:
            return entry
        if kind is not None:
            raise failure(result, kind, doing)
        raise PipelineError(
            f"the kaggle command reported {csv.name} as submitted, but the list does not show it "
            f"after {self.settle_limit:g} s; look at {SPEC.url}/submissions before you "
            "send it again"
        )

    def _read_back(self, token: str, patience: float) -> Entry | None:
        """Read the list until it shows `token`, for at most `patience` seconds.

        Raises PipelineError if the last reading failed.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() + self.poll <= deadline:
            with suppress(PipelineError):
                entry = self._find(token)
                if entry is not None:
                    return entry
            time.sleep(self.poll)
        return self._find(token)

    def _await_score(self, entry: Entry, token: str) -> Entry:
        """Return the entry once it is no longer pending, or as it is at the time limit."""
        start = time.monotonic()
        while entry.status == "pending":
            waited = time.monotonic() - start
            if waited >= self.score_limit:
                self.report(f"no score yet after {waited:.0f} s; see {SPEC.url}/submissions later")
                break
            limit = f"{self.score_limit:g} s"
            self.report(f"waiting for the score: {waited:.0f} s of at most {limit}")
            time.sleep(self.poll)
            try:
                entry = self._find(token) or entry
            except PipelineError as error:
                # The submission arrived, so a failure to read the list must not fail the command.
                self.report(f"could not look for the score: {error}")
        return entry


def parse_entries(stdout: str) -> list[Entry]:
    """Return the submissions in the order of the list, which is newest first.

    Warnings before the CSV are skipped. Raises PipelineError if there is no list in `stdout`.
    """
    start = re.search(rf"^{_HEADER}\s*$", stdout, re.MULTILINE)
    if start is not None:
        rows = DictReader(StringIO(stdout[start.start() :], newline=""), restval="")
        return [_entry(row) for row in rows]
    if "No submissions found" in stdout:
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
