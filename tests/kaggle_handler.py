"""How the stand-in for Kaggle answers the kaggle command's requests."""

import base64
import json
import re
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.kaggle_kernels import Kernels
from tests.kaggle_state import KEY, SLUG, STORAGE, TOKEN, UPLOAD_SESSION, USERNAME, Request, State


def _status_of(answer: dict[str, Any] | int) -> int:
    return answer if isinstance(answer, int) else 200


class Handler(BaseHTTPRequestHandler):
    """One request: an API call, or a transfer to or from the storage."""

    @property
    def state(self) -> State:
        """The stand-in's state."""
        state: State = self.server.state  # type: ignore[attr-defined]
        return state

    def do_POST(self) -> None:
        """Answer an API call: /api/v1/<service>/<name>."""
        body = self._body()
        name = urlsplit(self.path).path.rsplit("/", 1)[-1]
        with self.state.lock:
            self._note(name)
            status = self.state.faults.status.get(name)
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
        """Send a kernel's log or output, or an archive, whole or from a given byte."""
        path = urlsplit(self.path).path
        if "/kernels/logs/stream/" in path:
            self._stream_log(path.rsplit("/", 1)[-1])
            return
        if match := re.search(r"/kernel/([^/]+)/(.+)$", path):
            self._send_output(match[1], match[2])
            return
        name = urlsplit(self.path).path.rsplit("/", 1)[-1].removesuffix(".zip")
        with self.state.lock:
            self._note(name)
            faults = self.state.faults
            leaderboard = self.state.leaderboard_zip
            content = leaderboard if name == "leaderboard" else self.state.zip_bytes
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
            self.state.stopping.wait()

    def _stream_log(self, slug: str) -> None:
        """Send a kernel's log as server-sent events."""
        kernels = self.state.kernels
        with self.state.lock:
            self._note("StreamLog")
        if not self._known() or kernels is None or slug not in kernels.kernels:
            self._json({}, 404 if self._known() else 401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(ConnectionError):
            for event in kernels.events(slug):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            if event.startswith(b"data: END"):
                self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _send_output(self, slug: str, name: str) -> None:
        """Send an output file of a kernel."""
        assert self.state.kernels
        with self.state.lock:
            self._note("output")
        content = self.state.kernels.file(slug, name)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", formatdate(1_500_000_000, usegmt=True))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)

    def do_PUT(self) -> None:
        """Receive an uploaded file: /blob/<number>."""
        content = self._body()
        with self.state.lock:
            self._note("blob")
        self.state.stopping.wait(self.state.faults.slow_uploads)
        with self.state.lock:
            faults = self.state.faults
            blob = urlsplit(self.path).path.rsplit("/", 1)[-1]
            if faults.drop_uploads:
                self.close_connection = True
                return
            status = faults.status.get("blob", 200)
            if status == 200:
                self.state.uploads[blob] = (self.state.uploads[blob][0], content)
            self._json({}, status)

    def do_CONNECT(self) -> None:
        """Refuse to pass anything on to the real service."""
        with self.state.lock:
            self._note("CONNECT")
        self.send_error(403, "the stand-in lets nothing out")

    def _call(self, name: str, body: dict[str, Any]) -> None:
        """Answer the API call `name` of a person who is signed in."""
        state = self.state
        if state.kernels and name == "SaveKernel" and state.kernels.faults.lose_push_reply:
            state.kernels.push(body)
            self.close_connection = True
        elif state.kernels and (answer := self._kernel_call(state.kernels, name, body)) is not None:
            self._json(answer if isinstance(answer, dict) else {}, _status_of(answer))
        elif body.get("competitionName", SLUG) != SLUG:
            self._json({"error": {"code": 404}}, 404)
        elif name == "ListCompetitions":
            entered = state.faults.rules_accepted
            ref = f"https://www.kaggle.com/competitions/{SLUG}"
            self._json({"competitions": [{"ref": ref, "userHasEntered": entered}]})
        elif name == "GetSubmissionLimits":
            today = len(state.submissions)
            left = state.faults.submissions_left
            self._json({"numToday": today, "numTotal": today, "numAllowedNow": left})
        elif not state.faults.rules_accepted:
            self._json({"error": {"code": 403, "message": "the hidden reason"}}, 403)
        elif name in ("DownloadDataFiles", "DownloadLeaderboard"):
            file = "leaderboard" if name == "DownloadLeaderboard" else "archive"
            self.send_response(302)
            self.send_header("Location", f"{STORAGE}/{SLUG}/{file}.zip?signature=none")
            self.end_headers()
        elif name == "ListSubmissions":
            self._json({"submissions": state.listing()[: body.get("pageSize") or 20]})
        elif name == "StartSubmissionUpload":
            blob = str(len(state.uploads))
            state.uploads[blob] = (body["fileName"], b"")
            url = f"{STORAGE}/blob/{blob}?session={UPLOAD_SESSION}"
            self._json({"token": blob, "createUrl": url})
        elif name == "CreateSubmission":
            self._create(body)
        else:
            self._json({"error": {"code": 404}}, 404)

    def _kernel_call(
        self, kernels: Kernels, name: str, body: dict[str, Any]
    ) -> dict[str, Any] | int | None:
        """Return the answer to a call that concerns kernels, or its HTTP status; else None."""
        slug = body.get("kernelSlug", "")
        match name:
            case "SaveKernel":
                return kernels.push(body)
            case "GetKernelSessionStatus":
                return kernels.status(slug)
            case "ListKernelSessionOutput":
                return kernels.output(slug, body.get("pageSize") or 20, body.get("pageToken", ""))
            case "DeleteKernel":
                return kernels.delete(slug)
            case "GetAcceleratorQuotaStatistics":
                return kernels.quota()
            case "ListKernels":
                return {"kernels": kernels.listing()}
        return None

    def _create(self, body: dict[str, Any]) -> None:
        """Turn an upload into a submission."""
        state = self.state
        if state.faults.submissions_left <= 0:
            self._json({"error": {"code": 400, "message": "the hidden reason"}}, 400)
            return
        entry = state.record(body["blobFileTokens"], body.get("submissionDescription", ""))
        if state.faults.lose_reply:
            self.close_connection = True
            return
        self._json({"message": "Successfully submitted to Digit Recognizer", "ref": entry.ref})

    def _known(self) -> bool:
        """Return whether the request has the one valid token or the one valid key."""
        basic = base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
        return self.headers.get("Authorization") in (f"Bearer {TOKEN}", f"Basic {basic}")

    def _note(self, name: str) -> None:
        headers = dict(self.headers.items())
        request = Request(name, self.headers.get("Authorization", ""), headers)
        self.state.requests.append(request)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, content: object, status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        # With a server version newer than its own, the command prints an upgrade warning.
        self.send_header("X-Kaggle-ApiVersion", "99.0.0")
        with suppress(ConnectionError):  # the command was killed
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `requests` records each request."""
