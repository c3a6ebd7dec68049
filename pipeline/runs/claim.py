"""One process at a time works on a run: the claim that says which, and whether it lives.

The claim is a lock on a file in the run folder. The kernel lets go of it when the process ends,
however that happens. For another host, which may not see the lock, the file's time of change
tells: the owner renews it every few seconds.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeline.common.errors import PipelineError

FILE = "claim.json"
RENEWED_EVERY = 10.0
"""Seconds between two heartbeats."""
STALE_AFTER = 60.0
"""Seconds without a heartbeat after which a process on another host counts as gone."""
_TRIES = 5  # a glance by `is_alive` holds the lock for a moment


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the run in `folder` until the block ends.

    Raises PipelineError, which names the other process, if one holds it already.
    """
    path = folder / FILE
    with path.open("a+", encoding="utf-8") as file:
        if not _lock(file) or _lives_elsewhere(path):
            host, process = _owner(path)
            raise PipelineError(
                f"run {folder.name} is being worked on by process {process} on {host}; wait for "
                "it, or end it with Ctrl-C there"
            )
        file.truncate(0)
        json.dump({"host": socket.gethostname(), "process": os.getpid()}, file)
        file.flush()
        ended = threading.Event()
        beating = threading.Thread(target=_beat, args=(path, ended), daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()
            file.truncate(0)  # no owner: another host need not wait for the beats to be missed


def _owner(path: Path) -> tuple[str, str]:
    """Return host and process of the claim, "?" where nobody has written them."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return str(owner["host"]), str(owner["process"])
    except (OSError, ValueError, LookupError):
        return "?", "?"


def _lives_elsewhere(path: Path) -> bool:
    """Say whether a process on another host has renewed its claim of late."""
    return _owner(path)[0] not in ("?", socket.gethostname()) and _is_fresh(path)


def _is_fresh(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < STALE_AFTER


def is_alive(folder: Path, host: str, process: int) -> bool:
    """Say whether the process that claimed the run in `folder` still lives.

    `host` and `process` are those that the run's record names.
    """
    path = folder / FILE
    if host != socket.gethostname():
        return path.exists() and _is_fresh(path)
    if not path.exists():  # the record of an earlier version, or one that is just being made
        return _exists(process)
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(file: IO[str]) -> bool:
    for attempt in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02 * (attempt + 1))
        else:
            return True
    return False


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_EVERY):
        # A network's file system may fail for a moment; the next beat may get through.
        with suppress(OSError):
            os.utime(path)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
