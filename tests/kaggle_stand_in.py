"""A stand-in for Kaggle on this machine that the real kaggle command talks to.

In a test:

    with StandIn(train_csv=train, test_csv=test, hidden_labels=labels) as server:
        environment = server.environment(home)

By hand, so that `make submit SOURCE=kaggle` can be tried without an account:

    python -m tests.kaggle_stand_in --train train.csv --test test.csv --hidden labels.csv

It answers the calls of kaggle 2.2.4 (kagglesdk 0.1.37) that downloading and submitting make.
"""

import argparse
import base64
import csv
import io
import json
import os
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

SLUG = "digit-recognizer"
TOKEN = "KGAT_stand_in_secret_token"
USERNAME = "tester"
KEY = "stand_in_secret_key"
UPLOAD_SESSION = "stand_in_secret_upload_session"
STORAGE = "http://storage.invalid"
"""The host of downloads and uploads: another one than the service's, as at Kaggle."""

PUBLIC_EVERY = 4
"""Each fourth row counts for the public score: 25 %, the share of digit-recognizer."""

PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
_DROPPED = ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "XDG_CONFIG_HOME")


@dataclass
class Faults:
    """What goes wrong; a test switches it on, before or while the command runs."""

    status: dict[str, int] = field(default_factory=dict)
    """Which requests are answered with which HTTP status: {"DownloadDataFiles": 404}.

    "blob" stands for the upload to the storage."""
    rules_accepted: bool = True
    cut_downloads: int = 0
    """How many downloads break off in the middle."""
    truncated_downloads: int = 0
    """How many downloads carry only half of the archive and call it whole."""
    hold_downloads: bool = False
    """Downloads stop in the middle and stay silent until the stand-in stops."""
    drop_uploads: bool = False
    """The storage closes the connection of each upload without an answer."""
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
    """One request that the stand-in saw: a call's name or a path, and the headers."""

    name: str
    authorization: str
    headers: Mapping[str, str]


@dataclass
class Submission:
    """One submission that the stand-in took."""

    ref: int
    file_name: str
    message: str
    status: str
    public_score: str
    date: str
    lists_before_shown: int
    lists_before_scored: int


def archive(members: Mapping[str, bytes | Path]) -> bytes:
    """Return a zip with `members`, name to content, as bytes. Names are taken as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            file.writestr(name, content.read_bytes() if isinstance(content, Path) else content)
    return buffer.getvalue()


def read_labels(path: Path) -> list[int]:
    """Return the last column of a CSV with a header line: one label a row."""
    with path.open(newline="", encoding="utf-8") as file:
        return [int(row["Label"]) for row in csv.DictReader(file)]


class StandIn:
    """The server: what it holds, what it saw, and what it should do wrong.

    `train_csv` and `test_csv` are packed into the archive for download, unless `zip_bytes` is
    given. With `hidden_labels`, a CSV of the test rows' labels, uploads are scored on each fourth
    row; without, each well-formed upload scores `score`. `port` 0 takes a free one.
    """

    def __init__(
        self,
        *,
        train_csv: Path | None = None,
        test_csv: Path | None = None,
        zip_bytes: bytes | None = None,
        hidden_labels: Path | None = None,
        score: str = "0.99250",
        port: int = 0,
    ) -> None:
        members = {"train.csv": train_csv, "test.csv": test_csv}
        if zip_bytes is None:
            zip_bytes = archive({name: path for name, path in members.items() if path})
        self.zip_bytes = zip_bytes
        self.labels = read_labels(hidden_labels) if hidden_labels else None
        self.score = score
        self.faults = Faults()
        self.requests: list[Request] = []
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.submissions: list[Submission] = []
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        self._server.stand_in = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._running = False

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 that it listens on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        self._running = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening: from now on the port refuses connections."""
        if self._running:
            self._running = False
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def redirections(self) -> dict[str, str]:
        """Return the variables that lead the kaggle command here instead of to Kaggle.

        The command takes `http://localhost:80` for the service, and the proxy is this server. The
        proxy for HTTPS too: a call that was not redirected is refused here and cannot get out.
        """
        address = f"http://127.0.0.1:{self.port}"
        return {"KAGGLE_API_ENVIRONMENT": "LOCALHOST"} | dict.fromkeys(PROXY_VARIABLES, address)

    def environment(self, home: Path, token: str | None = TOKEN) -> dict[str, str]:
        """Return a whole environment for a process that is to see this server as Kaggle.

        `home` becomes HOME. `token` goes into KAGGLE_API_TOKEN; None leaves no credentials.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("KAGGLE_") and name not in _DROPPED
        }
        config = {"HOME": str(home), "KAGGLE_CONFIG_DIR": str(home / ".kaggle")}
        credentials = {} if token is None else {"KAGGLE_API_TOKEN": token}
        return kept | config | credentials | self.redirections()

    def count(self, name: str) -> int:
        """Return how many requests called `name` were seen."""
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
        right = sum(given[row + 1] == self.labels[row] for row in public)
        return "COMPLETE", f"{right / len(public):.5f}"

    def record(self, blob: str, message: str) -> Submission:
        """Take the upload `blob` as a submission with `message`."""
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
        """Return the submissions as the service lists them, newest first, and let time pass."""
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


class _Handler(BaseHTTPRequestHandler):
    """One request: an API call, or a transfer of the storage."""

    @property
    def stand_in(self) -> StandIn:
        """The server's state."""
        server: StandIn = self.server.stand_in  # type: ignore[attr-defined]
        return server

    def do_POST(self) -> None:
        """Answer an API call: /api/v1/<service>/<name>."""
        body = self._body()
        name = urlsplit(self.path).path.rsplit("/", 1)[-1]
        with self.stand_in.lock:
            self._note(name)
            status = self.stand_in.faults.status.get(name)
            if status is not None:
                self._json({"error": {"code": status, "message": "the hidden reason"}}, status)
            elif name == "IntrospectToken":
                known = json.loads(body).get("token") == TOKEN
                self._json({"active": known, "username": USERNAME if known else ""})
            elif not self._known():
                self._json({"error": {"code": 401, "message": "Unauthenticated"}}, 401)
            else:
                self._call(name, json.loads(body or b"{}"))

    def do_GET(self) -> None:
        """Serve the archive, whole or from a byte on."""
        with self.stand_in.lock:
            self._note("archive")
            faults, content = self.stand_in.faults, self.stand_in.zip_bytes
            if faults.truncated_downloads > 0:
                faults.truncated_downloads -= 1
                content = content[: len(content) // 2]
            cut = faults.cut_downloads > 0
            faults.cut_downloads -= cut
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        part = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", formatdate(1_500_000_000, usegmt=True))
        self.end_headers()
        hold = faults.hold_downloads
        self.wfile.write(part[: len(part) // 2] if cut or hold else part)
        if hold:
            self.wfile.flush()
            self.stand_in.stopping.wait()

    def do_PUT(self) -> None:
        """Take an uploaded file: /blob/<number>."""
        content = self._body()
        with self.stand_in.lock:
            self._note("blob")
            faults = self.stand_in.faults
            blob = urlsplit(self.path).path.rsplit("/", 1)[-1]
            if faults.drop_uploads:
                self.close_connection = True
                return
            status = faults.status.get("blob", 200)
            if status == 200:
                self.stand_in.uploads[blob] = (self.stand_in.uploads[blob][0], content)
            self._json({}, status)

    def do_CONNECT(self) -> None:
        """Refuse to pass anything on to the real service."""
        with self.stand_in.lock:
            self._note("CONNECT")
        self.send_error(403, "the stand-in lets nothing out")

    def _call(self, name: str, body: dict[str, Any]) -> None:
        """Answer the API call `name` of a known person."""
        stand_in = self.stand_in
        if body.get("competitionName", SLUG) != SLUG:
            self._json({"error": {"code": 404}}, 404)
        elif name == "ListCompetitions":
            entered = stand_in.faults.rules_accepted
            ref = f"https://www.kaggle.com/competitions/{SLUG}"
            self._json({"competitions": [{"ref": ref, "userHasEntered": entered}]})
        elif name == "GetSubmissionLimits":
            today = len(stand_in.submissions)
            left = stand_in.faults.submissions_left
            self._json({"numToday": today, "numTotal": today, "numAllowedNow": left})
        elif not stand_in.faults.rules_accepted:
            self._json({"error": {"code": 403, "message": "the hidden reason"}}, 403)
        elif name == "DownloadDataFiles":
            self.send_response(302)
            self.send_header("Location", f"{STORAGE}/{SLUG}/archive.zip?signature=none")
            self.end_headers()
        elif name == "ListSubmissions":
            self._json({"submissions": stand_in.listing()[: body.get("pageSize") or 20]})
        elif name == "StartSubmissionUpload":
            blob = str(len(stand_in.uploads))
            stand_in.uploads[blob] = (body["fileName"], b"")
            url = f"{STORAGE}/blob/{blob}?session={UPLOAD_SESSION}"
            self._json({"token": blob, "createUrl": url})
        elif name == "CreateSubmission":
            self._create(body)
        else:
            self._json({"error": {"code": 404}}, 404)

    def _create(self, body: dict[str, Any]) -> None:
        """Turn an upload into a submission."""
        stand_in = self.stand_in
        if stand_in.faults.submissions_left <= 0:
            self._json({"error": {"code": 400, "message": "the hidden reason"}}, 400)
            return
        entry = stand_in.record(body["blobFileTokens"], body.get("submissionDescription", ""))
        if stand_in.faults.lose_reply:
            self.close_connection = True
            return
        self._json({"message": "Successfully submitted to Digit Recognizer", "ref": entry.ref})

    def _known(self) -> bool:
        """Whether the request carries the one token or the one key that are good here."""
        basic = base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
        return self.headers.get("Authorization") in (f"Bearer {TOKEN}", f"Basic {basic}")

    def _note(self, name: str) -> None:
        headers = dict(self.headers.items())
        request = Request(name, self.headers.get("Authorization", ""), headers)
        self.stand_in.requests.append(request)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, content: object, status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        # A newer server version than the command's makes it print an upgrade warning.
        self.send_header("X-Kaggle-ApiVersion", "99.0.0")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: what was asked is kept in `requests`."""


def main() -> None:
    """Run a stand-in until Ctrl-C and print the variables that lead the kaggle command to it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, help="the train.csv to hand out")
    parser.add_argument("--test", type=Path, required=True, help="the test.csv to hand out")
    parser.add_argument("--hidden", type=Path, help="CSV with the test rows' labels, to score by")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0 takes a free one")
    parser.add_argument("--pending", type=int, default=2, help="list calls before a score is there")
    given = parser.parse_args()
    with StandIn(
        train_csv=given.train, test_csv=given.test, hidden_labels=given.hidden, port=given.port
    ) as server:
        server.faults.lists_before_scored = given.pending
        print("unset NO_PROXY no_proxy")
        for name, value in (server.redirections() | {"KAGGLE_API_TOKEN": TOKEN}).items():
            print(f"export {name}={value}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("# stopped")


if __name__ == "__main__":
    main()
