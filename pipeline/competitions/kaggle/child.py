"""The kaggle command as a child process: it ends with its parent, and notes what it hands over.

    python -P child.py <journal> <token> <kaggle's own arguments>

It is run by its path, and imports nothing of this package: with -P, a folder named "kaggle" in the
working directory is not imported in place of the command.

Its standard input is a pipe that the parent never writes to. The pipe's end shows that the parent
is gone, however that happened. An upload must not go on unseen.

Where `token` is not empty, the call submits a CSV or pushes a kernel. The token is added to the
file `journal`, and is on the disk before the one request that does so goes out. So what is not in
the journal was not handed to Kaggle, whenever this process was killed. Until it ends, it holds a
lock.
"""

import errno
import os
import re
import runpy
import sys
import threading
from contextlib import nullcontext
from functools import partial
from typing import Any

from filelock import FileLock

_SECONDS_TO_WAIT = 10.0  # for the lock, which the parent has just seen free
_HANDS_OVER = re.compile(rb"POST \S*/(CreateSubmission|SaveKernel)[ ?]")


def lock_path(journal: str) -> str:
    """Return the file that a process locks which hands something over."""
    return f"{journal}.lock"


def append(journal: str, token: str) -> None:
    """Add a line with the token to the journal. Returns when it is on the disk, or raises OSError.

    An empty line comes first: the last line may lack its end, if a kill cut it off.
    """
    line = f"\n{token}\n".encode()
    handle = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    folder = os.open(os.path.dirname(journal) or ".", os.O_RDONLY)
    try:
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), journal)
        os.fsync(handle)
        os.fsync(folder)  # in which the file may be new
    finally:
        os.close(handle)
        os.close(folder)


def main() -> None:
    """Run the kaggle command as this process's arguments say."""
    journal, token, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # -W leaves out the upgrade warning, which would come before CSV and JSON.
    sys.argv = ["kaggle", "-W", *arguments]
    lock = FileLock(lock_path(journal), timeout=_SECONDS_TO_WAIT, fallback_to_soft=False)
    with lock if token else nullcontext():
        if token:
            sys.addaudithook(partial(_note, journal, token))
        runpy.run_module("kaggle", run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _note(journal: str, token: str, event: str, arguments: tuple[Any, ...]) -> None:
    """Add the token to the journal if the event announces the request that hands it over.

    Python raises the event "http.client.send" before it sends each part of a request. The first
    part begins with the request's line.
    """
    if event != "http.client.send" or not isinstance(arguments[1], bytes):
        return
    if _HANDS_OVER.match(arguments[1]):
        append(journal, token)


if __name__ == "__main__":
    main()
