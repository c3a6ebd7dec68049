"""The errors that a person can act on, and how a command ends after one."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class PipelineError(Exception):
    """A failure described in one line: what file or setting, what is wrong with it, and the fix.

    The command line prints it as `error: <message>` on stderr and exits with 1, no traceback.
    """


class DivergedError(PipelineError):
    """A loss became infinite or NaN."""


FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the disk"),
    errno.EFBIG: "allow larger files (ulimit -f)",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "give yourself the right to read and write there"
    ),
}
"""What helps against the operating system's errors, by their number."""


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process with one line and code 1 on an expected failure, with 130 on Ctrl-C."""
    try:
        yield
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise  # the reader of a pipe has gone, as in `| head`; Typer ends quietly
    except OSError as error:
        fix = FIXES.get(error.errno or 0, "mend that and run the same command again")
        print(f"error: {error}; {fix}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
