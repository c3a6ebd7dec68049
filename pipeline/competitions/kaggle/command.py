"""Runs the kaggle command as a process of its own and returns its result."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle import child

# With this interpreter, so that no other installation of the command is used.
_COMMAND = (sys.executable, "-P", child.__file__)

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
    submits: tuple[Path, str] | None = None,
) -> CommandResult:
    """Run `kaggle <arguments>` in the person's own environment and return its result.

    The command ends with this process. It is stopped after `time_limit` seconds. Every 10 seconds
    `on_beat` is called with the seconds elapsed. For a call that submits, `submits` is the file of
    the journal and the token to note there (see `child.py`). Raises KeyboardInterrupt if the
    command was cancelled with Ctrl-C, which it reports as a success, and PipelineError if it is not
    installed.
    """
    journal, token = submits or ("", "")
    environment = {
        name: value for name, value in os.environ.items() if name not in _VERBOSE_VARIABLES
    }
    end_of_pipe, held_open = os.pipe()
    try:
        process = subprocess.Popen(
            [*_COMMAND, str(journal), token, *arguments],
            stdin=end_of_pipe,
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
    finally:
        os.close(end_of_pipe)
        os.close(held_open)
    if result.stdout.rstrip().endswith(_CANCELLED) or result.code == -signal.SIGINT:
        raise KeyboardInterrupt
    if "No module named" in result.stderr:
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
