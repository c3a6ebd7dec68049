"""Runs the kaggle command as a process of its own and returns its result."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
    hands_over: tuple[Path, str] | None = None,
) -> CommandResult:
    """Run `kaggle <arguments>` in the person's own environment and return its result.

    The command ends with this process. It is stopped after `time_limit` seconds. Every 10 seconds
    `on_beat` is called with the seconds elapsed. For a call that hands something over, `hands_over`
    is the file of the journal and the token to note there (see `child.py`). Raises
    KeyboardInterrupt if the command was cancelled with Ctrl-C, which it reports as a success, and
    PipelineError if it is not installed.
    """
    with _started(arguments, *(hands_over or ("", ""))) as process:
        result = _wait(process, time_limit, on_beat)
    if result.stdout.rstrip().endswith(_CANCELLED) or result.code == -signal.SIGINT:
        raise KeyboardInterrupt
    if "No module named" in result.stderr:
        raise PipelineError("the kaggle package is not installed; run `make setup`")
    return result


class Following:
    """The kaggle command as it runs, with the lines that it has printed. It ends with the block.

    with Following(["kernels", "logs", "-f", name]) as log:
        log.lines(10)
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._block = _started(arguments)
        self._printed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.ended = False

    def __enter__(self) -> Self:
        process = self._block.__enter__()
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._block.__exit__(None, None, None)
        self._reader.join()

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield lines as they are printed, for so many seconds or until the command ends."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            try:
                line = self._printed.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            self.ended = line is None
            if line is not None:
                yield line

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        with suppress(ValueError):  # the block ended, and closed the stream
            for line in process.stdout:
                self._printed.put(line.rstrip("\n"))
        self._printed.put(None)


@contextmanager
def _started(
    arguments: Sequence[str], journal: Path | str = "", token: str = ""
) -> Iterator["subprocess.Popen[str]"]:
    """Start the command, and kill it if it still runs at the end of the block."""
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
            env=environment | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
            encoding="utf-8",
            errors="replace",
        )
        try:
            yield process
        finally:
            # Whatever ended the waiting, the command must not continue unseen.
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream
                stream.close()
    finally:
        os.close(end_of_pipe)
        os.close(held_open)


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
