"""The errors that a person can act on, and how a command ends after one."""

import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pipeline.common.text import printable


class PipelineError(Exception):
    """A failure described in one line: what file or setting, what is wrong with it, and the fix.

    The command line prints it as `error: <message>` on stderr and exits with 1, no traceback.
    """


class DivergedError(PipelineError):
    """A loss became infinite or NaN."""


class ClaimedError(PipelineError):
    """Another process works on the run in `folder`, which this one may have later."""

    def __init__(self, message: str, folder: Path) -> None:
        super().__init__(message)
        self.folder = folder


class LostRunError(PipelineError):
    """Another host has taken over, or removed, a run while the process that held it slept."""


class TimeLimitError(PipelineError):
    """A training was stopped at its time limit. It can be continued."""


class FailedRunError(PipelineError):
    """Too few members of a run succeeded: a matter of its recipe, while other runs may succeed."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: the same as Ctrl-C, with the signal's name as the message."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_code = 128 + number  # as a shell reports it


FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the disk"),
    errno.EFBIG: "allow larger files (ulimit -f)",
    **dict.fromkeys((errno.ENOSYS, errno.ENOLCK), "use a disk that has file locks"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "give yourself the right to read and write there"
    ),
}
"""What helps against the operating system's errors, by their number."""


MEMORY_SHORTAGES = (
    "can't start new thread",
    "failed to map segment",  # a library that is to be imported
    "annot allocate memory",
)
"""What exceptions other than MemoryError say where memory is short."""

_CUT_OFF = re.compile(r"\d+ requested and \d+ written")  # NumPy's words, without a number

LONGEST_MESSAGE = 2_000  # characters; the longest of our own list every recipe or setting


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process with one line and code 1 on an expected failure.

    Ctrl-C ends it with 130. SIGTERM and SIGHUP end it in the same way, with 143 and 129, so that
    the processes that it has started end too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(ending, _terminate)
    sys.unraisablehook = _send_again
    try:
        yield
        sys.stdout.flush()  # what a full disk or a closed pipe does not take is noticed here
    except PipelineError as error:
        _end(f"error: {printable(error, LONGEST_MESSAGE)}", 1)
    except Terminated as signal_received:
        _end(f"ended by {signal_received}", signal_received.exit_code)
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except BrokenPipeError:
        _end("", 1)  # the reader of a pipe has gone, as in `| head`
    except Exception as error:
        if (shortage := _memory_shortage(error)) is not None:
            problem = f"not enough memory ({printable(shortage)})"
            fix = "end other programs, or allow this one more memory (ulimit -v)"
        elif isinstance(error, OSError):
            number = errno.ENOSPC if _CUT_OFF.search(str(error)) else error.errno or 0
            problem, fix = str(error), FIXES.get(number, "mend that")
        else:
            raise
        line = printable(f"error: {problem}; {fix}", LONGEST_MESSAGE)
        _end(f"{line}, and run the same command again", 1)


def _end(line: str, code: int) -> NoReturn:
    """Print the last line on stderr, and exit. What stdout does not take is given up."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if line:
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)
    raise SystemExit(code) from None


def _memory_shortage(error: BaseException | None) -> str | None:
    """Return what says that a lack of memory raised `error`, None if something else did."""
    while error is not None:
        if isinstance(error, MemoryError):
            return str(error) or "MemoryError"
        text = str(error)
        if any(words in text for words in MEMORY_SHORTAGES):
            return text.splitlines()[-1]
        error = error.__cause__ or error.__context__
    return None


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def _send_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again that came in a destructor, where Python drops its exception."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = getattr(lost.exc_value, "number", signal.SIGINT)
        # The destructor has ended by then.
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    else:
        sys.__unraisablehook__(lost)
