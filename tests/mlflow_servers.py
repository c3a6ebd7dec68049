"""Servers on this machine: MLflow's own, and ones that do what a server must not do."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.commands import wait_until


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run `mlflow server` with its database and files in `folder`. Yield its address."""
    port = free_port()
    program = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    program += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    program += ["--artifacts-destination", str(folder / "files")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            program,
            cwd=folder,
            env={**os.environ, **quiet},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            uri = f"http://127.0.0.1:{port}"
            wait_until(lambda: _answers(uri), (folder / "log").read_text(), seconds=120)
            yield uri
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(uri: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
        return bool(answer.status == 200)
    return False


@contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections, and never answer. Yield the address."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen(100)
        yield f"127.0.0.1:{one.getsockname()[1]}"


@contextmanager
def closed_server() -> Iterator[str]:
    """Yield an address at which nothing listens."""
    yield f"127.0.0.1:{free_port()}"


@contextmanager
def answering_server(status: int, text: str) -> Iterator[str]:
    """Answer everything with a status and a text, in which {} is the request's password."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self.rfile.read(length)
            body = text.replace("{}", self.headers.get("Authorization", "")).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # the library's name

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
