"""How a command ends that failed: one line on stderr, and an exit code."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pipeline.common.errors import PipelineError

FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the disk"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "give yourself the right to read and write there"
    ),
}
"""What helps against the operating system's errors, by their number."""


@contextmanager
def told() -> Iterator[None]:
    """Turn a failure that a person can act on into a line and exit code 1, Ctrl-C into 130."""
    try:
        yield
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except BrokenPipeError:
        raise  # the reader of a pipe has gone, as in `| head`; Typer ends quietly
    except OSError as error:
        fix = FIXES.get(error.errno or 0, "mend that and run the same command again")
        print(f"error: {error}; {fix}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(130) from None
