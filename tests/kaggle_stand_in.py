"""A stand-in for Kaggle on this machine, to which the real kaggle command connects.

In a test:

    with StandIn(train_csv=train, test_csv=test, hidden_labels=labels) as server:
        environment = server.environment(home)

By hand, to try `make submit SOURCE=kaggle` without an account:

    python -m tests.kaggle_stand_in --train train.csv --test test.csv --hidden labels.csv

It answers the calls of kaggle 2.2.4 (kagglesdk 0.1.37) that downloading, submitting and the
leaderboard make.
"""

import argparse
import csv
import io
import os
import threading
import zipfile
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kaggle_handler import Handler
from tests.kaggle_state import KEY, TOKEN, UPLOAD_SESSION, USERNAME, State

__all__ = ["KEY", "TOKEN", "UPLOAD_SESSION", "USERNAME", "StandIn", "archive"]

PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
_DROPPED = ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "XDG_CONFIG_HOME")


def archive(members: Mapping[str, bytes | Path]) -> bytes:
    """Return the bytes of a zip with `members`, name to content. Names are not changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            file.writestr(name, content.read_bytes() if isinstance(content, Path) else content)
    return buffer.getvalue()


def read_labels(path: Path) -> list[int]:
    """Return the last column of a CSV with a header line: one label per row."""
    with path.open(newline="", encoding="utf-8") as file:
        return [int(row["Label"]) for row in csv.DictReader(file)]


class StandIn(State):
    """The server, with its state.

    `train_csv` and `test_csv` go into the archive for download, unless `zip_bytes` is given. With
    `hidden_labels`, a CSV of the test rows' labels, uploads are scored on every fourth row;
    without, each well-formed upload scores `score`. `port` 0 means any free one.
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
        super().__init__(zip_bytes, read_labels(hidden_labels) if hidden_labels else None, score)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.state = self  # type: ignore[attr-defined]
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
            if self.kernels:
                self.kernels.stop()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def redirections(self) -> dict[str, str]:
        """Return the variables that direct the kaggle command here instead of to Kaggle.

        The command then calls `http://localhost:80`, with this server as the proxy. It is the proxy
        for HTTPS too: a call to the real service is refused here.
        """
        address = f"http://127.0.0.1:{self.port}"
        return {"KAGGLE_API_ENVIRONMENT": "LOCALHOST"} | dict.fromkeys(PROXY_VARIABLES, address)

    def environment(self, home: Path, token: str | None = TOKEN) -> dict[str, str]:
        """Return a complete environment for a process that uses this server as Kaggle.

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


def main() -> None:
    """Run a stand-in until Ctrl-C. Print the variables that direct the kaggle command to it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, help="the train.csv to hand out")
    parser.add_argument("--test", type=Path, required=True, help="the test.csv to hand out")
    parser.add_argument("--hidden", type=Path, help="CSV with the test rows' labels, to score by")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0 means any free one")
    parser.add_argument("--pending", type=int, default=2, help="list calls before there is a score")
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
