"""Runs the kaggle command as a process of its own and returns what it said."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.common.errors import PipelineError

# As a module of this interpreter, so that no other installation of the command is picked up; -P
# keeps a folder named "kaggle" in the working directory from being imported in its place; -W
# leaves out the upgrade warning, which would stand ahead of CSV and JSON.
_COMMAND = (sys.executable, "-P", "-m", "kaggle", "-W")

# With these set the command prints each request with its Authorization header.
_TALKATIVE = ("VERBOSE", "VERBOSE_OUTPUT")

_CANCELLED = "User cancelled operation"


@dataclass(frozen=True)
class Outcome:
    """What one call of the kaggle command came to.

    `code` is its exit code and None if it was stopped at `time_limit` seconds. Neither it nor
    the text may be shown to a person as they are: the text can hold an upload address, which
    carries a session token.
    """

    code: int | None
    stdout: str
    stderr: str
    time_limit: float

    @property
    def text(self) -> str:
        """Both streams, one after the other."""
        return f"{self.stdout}\n{self.stderr}"


def run_kaggle(
    arguments: Sequence[str],
    *,
    time_limit: float,
    beat: float = 10.0,
    on_beat: Callable[[float], None] | None = None,
) -> Outcome:
    """Run `kaggle <arguments>` in the person's own environment and return its outcome.

    `time_limit` is in seconds; the command is stopped at it. Each `beat` seconds `on_beat` is
    called with the seconds gone by. Raises KeyboardInterrupt if the command was cancelled with
    Ctrl-C, which it reports as a success, and PipelineError if it is not installed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _TALKATIVE}
    process = subprocess.Popen(
        [*_COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment | {"PYTHONUTF8": "1"},
        encoding="utf-8",
        errors="replace",
    )
    try:
        outcome = _wait(process, time_limit, beat, on_beat)
    finally:
        # Whatever ended the waiting, an upload must not go on behind the person's back.
        if process.poll() is None:
            process.kill()
            process.communicate()
    if outcome.stdout.rstrip().endswith(_CANCELLED) or outcome.code == -signal.SIGINT:
        raise KeyboardInterrupt
    if "No module named kaggle" in outcome.stderr:
        raise PipelineError("the kaggle package is not installed; run `make setup`")
    return outcome


def _wait(
    process: "subprocess.Popen[str]",
    time_limit: float,
    beat: float,
    on_beat: Callable[[float], None] | None,
) -> Outcome:
    """Wait for `process` to end, or stop it at the time limit."""
    start = time.monotonic()
    while True:
        gone = time.monotonic() - start
        try:
            stdout, stderr = process.communicate(timeout=max(0.0, min(beat, time_limit - gone)))
            return Outcome(process.returncode, stdout, stderr, time_limit)
        except subprocess.TimeoutExpired:
            gone = time.monotonic() - start
        if gone >= time_limit:
            process.kill()
            stdout, stderr = process.communicate()
            return Outcome(None, stdout, stderr, time_limit)
        if on_beat is not None:
            on_beat(gone)
