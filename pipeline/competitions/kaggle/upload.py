"""The competition at Kaggle: submissions go there through the kaggle command.

The command's exit code proves nothing about a submission, in either direction. Whether a
submission arrived is therefore always read from the list of submissions.
"""

import re
import time
from contextlib import suppress
from csv import DictReader
from csv import Error as CsvError
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle.calls import REFUSALS, call, classify, failure
from pipeline.competitions.kaggle.command import run_kaggle
from pipeline.competitions.kaggle.credentials import require_credentials
from pipeline.competitions.kaggle.journal import Journal
from pipeline.competitions.protocol import Entry, Reference, Share, SubmissionStatus
from pipeline.data.spec import SPEC

_PAGE_SIZE = "200"
"""The most that one page of the list may hold (`kaggle competitions submissions --help`)."""

# `KaggleApi.submission_fields` of kaggle 2.2.4.
_HEADER = "ref,fileName,date,description,status,publicScore,privateScore"

Value = TypeVar("Value")
_REFERENCE: TypeAdapter[str] = TypeAdapter(Reference)
_SHARE: TypeAdapter[float] = TypeAdapter(Share)
_STATUS: TypeAdapter[SubmissionStatus] = TypeAdapter(SubmissionStatus)


@dataclass(frozen=True, kw_only=True)
class KaggleCompetition:
    """The competition `kaggle`: see `Competition` for what each method promises.

    `report` gets progress lines. `journal` notes what was handed to Kaggle. Times are in seconds:
    `upload_limit` bounds the upload. `settle_limit` is how long to look for a submission in the
    list after its upload. `score_limit` is how long to wait for its score. `poll` is the pause
    between two readings of the list.
    """

    key = "kaggle"

    report: Report
    journal: Journal
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
        """Send `csv` with `message`, unless Kaggle has or may have `token`; wait for the score.

        Nothing is ever sent twice: what the list shows is not sent, nor what the journal says was
        handed to Kaggle. The waiting is done here, because the command has no option for it. Raises
        PipelineError, and ValueError if `token` is not part of `message`.
        """
        if token not in message:
            raise ValueError(f"the message must contain the token {token!r}: {message!r}")
        if not csv.is_file():
            raise PipelineError(f"{csv}: there is no such file to submit; run `make submission`")
        self.journal.wait_for_sender(self.report)
        entry = self._find(token)
        if entry is not None:
            self.report(f"already submitted to Kaggle as {entry.reference}: not sent again")
        elif token in self.journal:
            self.report(f"{csv.name} was handed to Kaggle before: looking for it, not sending it")
            entry = self._read_back(csv, token)
        else:
            entry = self._send(csv, message, token)
            self.report(f"Kaggle lists the submission as {entry.reference}")
        return self._await_score(entry, token)

    def is_lost(self, token: str) -> bool:
        """Return whether `token` was handed to Kaggle, and yet its list does not come to show it.

        Raises PipelineError where the list cannot be read.
        """
        self.journal.wait_for_sender(self.report)
        if token not in self.journal:
            return False
        self.report("looking for the earlier upload")
        return self._look_for(token) is None

    def _find(self, token: str) -> Entry | None:
        """Return the newest entry whose message contains `token`, if any."""
        return next((entry for entry in self.submissions() if token in entry.message), None)

    def _send(self, csv: Path, message: str, token: str) -> Entry:
        """Upload `csv` once and return the entry that the list then shows."""
        doing = f"uploading {csv.name}"

        def report_time(seconds: float) -> None:
            self.report(f"{doing}: {seconds:.0f} s of at most {self.upload_limit:g} s")

        self.report(f"{doing} to Kaggle")
        # Joined with "=", so that a message or path may begin with a dash.
        options = ["-q", f"--file={csv}", f"--message={message}"]
        result = run_kaggle(
            ["competitions", "submit", SPEC.slug, *options],
            time_limit=self.upload_limit,
            on_beat=report_time,
            hands_over=(self.journal.path, token),
        )
        kind = classify(result)
        if kind is None:
            if token not in self.journal:
                self.journal.add(token)
            return self._read_back(csv, token, " (the kaggle command says that it did)")
        if kind in REFUSALS:
            self.journal.remove(token)
        error = failure(result, kind, doing)
        if token not in self.journal:
            raise error
        return self._read_back(csv, token, f" (the upload: {error})")

    def _read_back(self, csv: Path, token: str, cause: str = "") -> Entry:
        """Return the entry of a submission that Kaggle has or may have, once the list shows it.

        Raises PipelineError if it does not within the time limit, or if it cannot be read.
        """
        unknown = f"whether Kaggle took {csv.name} is not known{cause}"
        advice = (
            f"look at {SPEC.url}/submissions: if it is there, run the same command again later; "
            f"if not, make submit RUN={csv.stem} FORCE=1 sends it again"
        )
        try:
            entry = self._look_for(token)
        except PipelineError as error:
            raise PipelineError(
                f"{unknown}, because the list could not be read: {error}; {advice}"
            ) from None
        if entry is None:
            raise PipelineError(
                f"{unknown}: its list does not show it after {self.settle_limit:g} s; {advice}"
            )
        return entry

    def _look_for(self, token: str) -> Entry | None:
        """Return the entry once the list shows it, None if it does not within the time limit.

        Raises PipelineError if the last reading fails.
        """
        deadline = time.monotonic() + self.settle_limit
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

    Warnings before the CSV are skipped. Values that no submission can have are left out. Raises
    PipelineError if there is no list in `stdout`.
    """
    start = re.search(rf"^{_HEADER}\s*$", stdout, re.MULTILINE)
    if start is not None:
        text = StringIO(stdout[start.start() :], newline="")
        with suppress(CsvError):
            return [_entry(row) for row in DictReader(text, restval="")]
    elif "No submissions found" in stdout:
        return []
    raise PipelineError(
        "the kaggle command printed no list of submissions that this version understands; the "
        f"columns must be {_HEADER}; run `make setup` to get the locked version of kaggle"
    )


def _entry(row: dict[str, str]) -> Entry:
    """Return one row of the list as an Entry."""
    # An unknown status counts as pending: a later reading of the list will tell.
    word = row["status"].rsplit(".", 1)[-1].lower()
    return Entry(
        reference=_valid(_REFERENCE, row["ref"]) or "unknown",
        file_name=row["fileName"],
        submitted_at=_utc(row["date"]),
        message=row["description"],
        status=_valid(_STATUS, word) or "pending",
        public_score=_valid(_SHARE, row["publicScore"]),
        private_score=_valid(_SHARE, row["privateScore"]),
    )


def _valid(kind: TypeAdapter[Value], text: str) -> Value | None:
    """Return a cell as a value of that kind, None if it is none (scores are "" or "None")."""
    try:
        return kind.validate_python(text)
    except ValidationError:
        return None


def _utc(text: str) -> str:
    """Return a date of the list, which is UTC without a zone, in ISO 8601 to the second.

    Empty for a text that is no date.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat(timespec="seconds")
