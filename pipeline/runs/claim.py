"""The claim on a run: one process at a time works on it, and others see which one does.

The claim is a lock on a file in the run folder. The kernel releases it when the process ends,
however that happens. Another host may not see the lock. It goes by the file's time of change,
which the owner renews every few seconds.

The library filelock is not used here: it locks exclusively only. Two commands that look at a run
at the same time would then see each other, and take the run for running. It also needs the right
to write where a look needs none.
"""

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from pipeline.common.errors import ClaimedError
from pipeline.common.text import printable

FILE = "claim.json"
RENEWED_EVERY = 10.0
"""Seconds between two heartbeats."""
STALE_AFTER = 60.0
"""Seconds without a heartbeat after which a process on another host counts as gone."""
_LOCK_ATTEMPTS = 5  # `is_alive` holds the lock for a moment


class Claim:
    """What a block holds: a folder, whose claim file `claimed` has written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = path.read_bytes()  # empty on a full disk
        self._lost = False
        self._slept, self._awake_at = 0.0, time.time()
        self._lock = threading.Lock()

    def is_lost(self) -> bool:
        """Return whether another process has taken the folder, or removed it, while this one slept.

        Where hosts do not see each other's locks, one may do so once the heartbeat is old. The
        folder stays lost, even when the other process leaves it again.
        """
        if not self._lost:
            try:
                self._lost = self._path.read_bytes() != self._written
            except OSError:  # a network file system may fail for a moment
                return not self._path.parent.is_dir()
        return self._lost

    def slept(self) -> float:
        """Return for how many seconds in all this process has stood still since it has the folder.

        It does so where it is stopped, or its machine is suspended. `renew` looks often.
        """
        with self._lock:
            now = time.time()
            if now - self._awake_at > STALE_AFTER:
                self._slept += now - self._awake_at
            self._awake_at = now
            return self._slept

    def renew(self, ended: threading.Event) -> None:
        """Renew the heartbeat until the block has ended, or another process has the folder."""
        while not ended.wait(RENEWED_EVERY):
            self.slept()
            if self.is_lost():
                continue
            # A network file system may fail for a moment. The next renewal may succeed.
            with suppress(OSError):
                os.utime(self._path)


@contextmanager
def claimed(folder: Path) -> Iterator[Claim]:
    """Hold the run in `folder` until the block ends.

    Raises ClaimedError, which names the other process, if another one holds it.
    """
    path = folder / FILE
    with path.open("a+", encoding="utf-8") as file:
        if not _lock(file) or _lives_elsewhere(path):
            host, process = _owner(path)
            raise ClaimedError(
                f"run {folder.name} is being worked on by process {process} on {host}; wait for "
                "it, or end it with Ctrl-C there",
                folder,
            )
        file.truncate(0)
        owner = {"host": socket.gethostname(), "process": os.getpid(), "of": secrets.token_hex(4)}
        with suppress(OSError):  # the lock holds on a full disk too, on which a run is removed
            os.write(file.fileno(), json.dumps(owner).encode())
        own, ended = Claim(path), threading.Event()
        heartbeat = threading.Thread(target=own.renew, args=(ended,), daemon=True)
        heartbeat.start()
        try:
            yield own
        finally:
            ended.set()
            heartbeat.join()
            if not own.is_lost():
                file.truncate(0)  # without an owner, other hosts need not wait


def _owner(path: Path) -> tuple[str, str]:
    """Return host and process of the claim, "?" for a claim without an owner."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return printable(owner["host"]), printable(owner["process"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "?", "?"


def _lives_elsewhere(path: Path) -> bool:
    """Return whether a process on another host has renewed its claim recently."""
    if _owner(path)[0] in ("?", socket.gethostname()):
        return False
    changed = path.stat().st_mtime
    age = time.time() - changed
    if age < -STALE_AFTER:  # by another clock: see whether it goes on
        time.sleep(1.2 * RENEWED_EVERY)
        return path.stat().st_mtime != changed
    return age < STALE_AFTER


def is_alive(folder: Path, host: str, process: int) -> bool:
    """Return whether the process that claimed the run in `folder` still lives.

    `host` and `process` are those in the run's record.
    """
    if host == socket.gethostname() and not (folder / FILE).is_file():
        return psutil.pid_exists(process)  # a record without a claim yet, or of an earlier version
    return is_claimed(folder)


def is_claimed(folder: Path) -> bool:
    """Return whether `claimed` would refuse `folder`, because another block holds it."""
    path = folder / FILE
    with suppress(FileNotFoundError):  # also where the folder is being removed
        if _lives_elsewhere(path):
            return True
        # Another host may see the lock too. Then it is held, however old the last heartbeat is.
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _lock(file: IO[str]) -> bool:
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02 * (attempt + 1))
        else:
            return True
    return False
