"""Logs a run to MLflow while it trains, without a part in the training."""

import os
import threading
from contextlib import suppress

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.competitions.ledger import Ledger
from pipeline.runs import Run, RunStore
from pipeline.tracking.address import (
    EXPERIMENT_VARIABLE,
    VARIABLE,
    shown,
    tracking_uri,
    without_secrets,
)
from pipeline.tracking.server import Server
from pipeline.training.events import Event, OnEvent, StepEnded

LONGEST_WAIT = 5.0
"""Seconds that the end of a command waits for the server."""

LONGEST_REASON = 300  # characters


class LiveLog:
    """Brings MLflow up to date with a run, in a thread of its own, whenever something happened.

    The thread reads the run folder alone. A server that is slow, down or out of order costs the
    training nothing: `report` gets one line that says how to log the run later.
    """

    def __init__(self, store: RunStore, ledger: Ledger, report: Report) -> None:
        self._store, self._ledger, self._report = store, ledger, report
        self._run_id = ""
        self._news = threading.Event()
        self._closing = self._told = self._complete = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def follow(self, run: Run) -> OnEvent:
        """Log this run from now on. Return what takes its events."""
        self._run_id = run.id
        self._news.set()

        def on_event(event: Event) -> None:
            if not isinstance(event, StepEnded):
                self._news.set()

        return on_event

    def complete(self, run: Run) -> None:
        """Log this run as the one that the command has made or found."""
        self.follow(run)

    def close(self) -> None:
        """Log the run a last time, and wait for that, but not for long."""
        self._closing = True
        self._news.set()
        self._thread.join(LONGEST_WAIT)
        if self._thread.is_alive():
            self._tell(f"is not done after {LONGEST_WAIT:.0f} s")
        elif self._complete:
            self._report(f"run {self._run_id} is logged to MLflow at {shown(tracking_uri())}")

    def _work(self) -> None:
        server, last = None, False
        while not last:
            self._news.wait()
            self._news.clear()
            last = self._closing
            if not self._run_id:
                continue
            problem = ""
            try:
                server = server or Server(tracking_uri())
                server.log(self._store.get(self._run_id), self._ledger)
            except Exception as error:  # whatever a server, its driver or a proxy may do
                problem = reason(error)
            self._complete = not problem
            # Outside of the handler: if stdout is gone, a traceback would hold MLflow's error too,
            # with the address and its password.
            if problem:
                with suppress(OSError):
                    self._tell(f"failed ({problem})")

    def _tell(self, what: str) -> None:
        """Say once that the run is not logged, and how to do that later."""
        if not self._told and self._run_id:
            self._told = True
            same = " and ".join(
                name for name in (VARIABLE, EXPERIMENT_VARIABLE) if os.environ.get(name)
            )
            self._report(
                f"logging to MLflow at {shown(tracking_uri())} {what}; all else goes on, and make "
                f"export RUN={self._run_id} with the same {same} logs the run later"
            )


def reason(error: Exception) -> str:
    """Return in one line, without secrets, why MLflow could not be used."""
    import requests

    if "timed out" in str(error):
        return f"no answer within {os.environ['MLFLOW_HTTP_REQUEST_TIMEOUT']} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, requests.ConnectionError):
            return "no connection"
        cause = cause.__cause__ or cause.__context__
    text = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
    return printable(without_secrets(text.splitlines()[0]), LONGEST_REASON)
