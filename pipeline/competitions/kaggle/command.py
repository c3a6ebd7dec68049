"""Runs the kaggle command as a process of its own and returns its result."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.common.errors import PipelineError

# As a module of this interpreter, so that no other installation of the command is used; -P
# keeps a folder named "kaggle" in the working directory from being imported in its place; -W
# leaves out the upgrade warning, which would come before CSV and JSON.
_COMMAND = (sys.executable, "-P", "-m", "kaggle", "-W")

# With one of these set, the command prints each request with its Authorization header.
_VERBOSE_VARIABLES = ("VERBOSE", "VERBOSE_OUTPUT")

_CANCELLED = "User cancelled operation"
_BEAT = 10.0  # seconds


@dataclass(frozen=True)
class CommandResult:
    """The result of one call of the kaggle command.

    `code` is its exit code, or None if it was stopped at `time_limit` seconds. Do not show the
    text to a person as it is: it can contain an upload address, which carries a session token.
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
    on_beat: Callable[[float], None] = lambda seconds: None,
) -> CommandResult:
    """Run `kaggle <arguments>` in the person's own environment and return its result.

    The command is stopped after `time_limit` seconds. Every 10 seconds `on_beat` is called with the
    seconds elapsed. Raises KeyboardInterrupt if the command was cancelled with Ctrl-C, which it
    reports as a success, and PipelineError if it is not installed.
    """
    environment = {
        name: value for name, value in os.environ.items() if name not in _VERBOSE_VARIABLES
    }
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
        result = _wait(process, time_limit, on_beat)
    finally:
        # Whatever ended the waiting, the upload must not continue unseen.
        if process.poll() is None:
            process.kill()
            process.communicate()
    if result.stdout.rstrip().endswith(_CANCELLED) or result.code == -signal.SIGINT:
        raise KeyboardInterrupt
    if "No module named kaggle" in result.stderr:
        raise PipelineError("the kaggle package is not installed; run `make setup`")
    return result


def _wait(
    process: "subprocess.Popen[str]", time_limit: float, on_beat: Callable[[float], None]
) -> CommandResult:
    """Wait for `process` to end, or stop it at the time limit."""
    start = time.monotonic()
    elapsed = 0.0
    while elapsed < time_limit:
        with suppress(subprocess.TimeoutExpired):
            stdout, stderr = process.communicate(timeout=min(_BEAT, time_limit - elapsed))
            return CommandResult(process.returncode, stdout, stderr, time_limit)
        elapsed = time.monotonic() - start
        on_beat(elapsed)
    process.kill()
    stdout, stderr = process.communicate()
    return CommandResult(None, stdout, stderr, time_limit)
