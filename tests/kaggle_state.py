"""What the stand-in for Kaggle holds, which requests it received, and what goes wrong in it."""

import csv
import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kaggle_kernels import Kernels

SLUG = "digit-recognizer"
TOKEN = "KGAT_stand_in_secret_token"
USERNAME = "tester"
KEY = "stand_in_secret_key"
UPLOAD_SESSION = "stand_in_secret_upload_session"
STORAGE = "http://storage.invalid"
"""The host of downloads and uploads, which is not the service's host, as at Kaggle."""

PUBLIC_EVERY = 4
"""Every fourth row counts for the public score: 25 %, as in digit-recognizer."""


@dataclass
class Faults:
    """What goes wrong. A test switches it on before or while the command runs."""

    status: dict[str, int] = field(default_factory=dict)
    """The HTTP status to answer a request with, by its name: {"DownloadDataFiles": 404}.

    "blob" stands for the upload to the storage."""
    rules_accepted: bool = True
    cut_downloads: int = 0
    """How many downloads are cut in the middle."""
    truncated_downloads: int = 0
    """How many downloads contain only half of the archive, as if it were all of it."""
    hold_downloads: bool = False
    """Downloads stop in the middle and stay silent until the stand-in stops."""
    drop_uploads: bool = False
    """The storage closes the connection of each upload without an answer."""
    slow_uploads: float = 0.0
    """Seconds that the storage takes for each upload."""
    submissions_left: int = 10
    """How many submissions the daily limit still allows."""
    lose_reply: bool = False
    """A submission is recorded, but the answer to it never arrives."""
    lists_before_shown: int = 0
    """How many times the list is read before a new submission is in it."""
    lists_before_scored: int = 0
    """How many times a submission is listed as pending."""
    ends_in_error: bool = False
    """Submissions end with the status ERROR."""


@dataclass(frozen=True)
class Request:
    """One request that the stand-in received: the call's name or a path, and the headers."""

    name: str
    authorization: str
    headers: Mapping[str, str]


@dataclass
class Submission:
    """One submission that the stand-in accepted."""

    ref: int
    file_name: str
    message: str
    status: str
    public_score: str
    date: str
    lists_before_shown: int
    lists_before_scored: int


class State:
    """The stand-in's files, labels, uploads and submissions, and the requests that it received.

    `kernels` are those that run here, where a test has set that up. `leaderboard_zip` is the
    archive of the leaderboard, which a test sets.

    With `labels`, those of the test rows, uploads are scored on every fourth row. Without, each
    well-formed upload scores `score`.
    """

    def __init__(self, zip_bytes: bytes, labels: list[int] | None, score: str) -> None:
        self.zip_bytes = zip_bytes
        self.leaderboard_zip = b""
        self.labels = labels
        self.score = score
        self.faults = Faults()
        self.requests: list[Request] = []
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.submissions: list[Submission] = []
        self.kernels: Kernels | None = None
        self.lock = threading.RLock()
        self.stopping = threading.Event()

    def count(self, name: str) -> int:
        """Return how many requests called `name` were received."""
        return sum(request.name == name for request in self.requests)

    def grade(self, content: bytes) -> tuple[str, str]:
        """Return the final status and the public score of an uploaded CSV."""
        try:
            rows = list(csv.reader(io.StringIO(content.decode())))
            given = {int(image): int(label) for image, label in rows[1:]}
        except ValueError:
            return "ERROR", ""
        if self.faults.ends_in_error or rows[:1] != [["ImageId", "Label"]]:
            return "ERROR", ""
        if self.labels is None:
            return "COMPLETE", self.score
        if set(given) != set(range(1, len(self.labels) + 1)):
            return "ERROR", ""
        public = range(0, len(self.labels), PUBLIC_EVERY)
        correct = sum(given[row + 1] == self.labels[row] for row in public)
        return "COMPLETE", f"{correct / len(public):.5f}"

    def record(self, blob: str, message: str) -> Submission:
        """Turn the upload `blob` into a submission with `message`."""
        file_name, content = self.uploads[blob]
        status, score = self.grade(content)
        submission = Submission(
            ref=50_000_000 + len(self.submissions),
            file_name=file_name,
            message=message,
            status=status,
            public_score=score,
            date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
            lists_before_shown=self.faults.lists_before_shown,
            lists_before_scored=self.faults.lists_before_scored,
        )
        self.submissions.append(submission)
        self.faults.submissions_left -= 1
        return submission

    def listing(self) -> list[dict[str, Any]]:
        """Return the submissions as the service lists them now, newest first.

        Each call brings hidden and pending submissions one step on.
        """
        rows = []
        for entry in reversed(self.submissions):
            if entry.lists_before_shown > 0:
                entry.lists_before_shown -= 1
                continue
            pending = entry.lists_before_scored > 0
            entry.lists_before_scored -= pending
            rows.append(
                {
                    "ref": entry.ref,
                    "fileName": entry.file_name,
                    "date": entry.date,
                    "description": entry.message,
                    "status": "PENDING" if pending else entry.status,
                    "publicScore": "" if pending else entry.public_score,
                    "privateScore": "",
                }
            )
        return rows
