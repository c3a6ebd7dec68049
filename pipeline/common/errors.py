"""The errors that a person can act on, and how a command ends after one."""

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.common.text import printable


class PipelineError(Exception):
    """A failure described in one line: what file or setting, what is wrong with it, and the fix.

    The command line prints it as `error: <message>` on stderr and exits with 1, no traceback.
    """


class DivergedError(PipelineError):
    """A loss became infinite or NaN."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: the same as Ctrl-C, with the signal's name as the message."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # as a shell reports it


FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the disk"),
    errno.EFBIG: "allow larger files (ulimit -f)",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "give yourself the right to read and write there"
    ),
}
"""What helps against the operating system's errors, by their number."""


LONGEST_MESSAGE = 2_000  # characters; the longest of our own list every recipe or setting


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process with one line and code 1 on an expected failure.

    Ctrl-C ends it with 130. SIGTERM and SIGHUP end it in the same way, with 143 and 129, so that
    the processes that it has started end too.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, _terminate)
    try:
        yield
    except PipelineError as error:
        print(f"error: {printable(error, LONGEST_MESSAGE)}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise  # the reader of a pipe has gone, as in `| head`; Typer ends quietly
    except OSError as error:
        fix = FIXES.get(error.errno or 0, "mend that and run the same command again")
        print(f"error: {printable(error, LONGEST_MESSAGE)}; {fix}", file=sys.stderr)
        raise SystemExit(1) from None
    except Terminated as signal_received:
        print(f"ended by {signal_received}", file=sys.stderr)
        raise SystemExit(signal_received.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)
