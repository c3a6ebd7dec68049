"""Files that are either whole or absent: atomic writes, locks, and the checksum of a file."""

import fcntl
import glob
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; move it onto `target` when the block succeeds.

    If the block raises, or the process dies in it, `target` keeps its old content (or stays
    absent). The temporary name is hidden and keeps the suffix of `target`, because libraries
    choose a file's format by it. Parent folders are made, and temporary files removed that a killed
    process has left for the same target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    handle, temporary = _make_temporary(target)
    try:
        yield temporary
        # mkstemp makes files that only the owner reads; give them the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _make_temporary(target: Path) -> tuple[int, Path]:
    """Make a temporary file beside `target`, locked until its handle is closed."""
    while True:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix
        )
        with suppress(OSError):  # not every disk has locks; then there is no removal either
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Another process may have removed it before it was locked.
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of `target` that no living process has locked."""
    stem, suffix = glob.escape(target.stem), glob.escape(target.suffix)
    for path in target.parent.glob(f".{stem}-{'?' * 8}{suffix}"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def publish(written: Path, target: Path) -> None:
    """Move a whole file onto `target`, on the same disk, so that it survives a loss of power."""
    _flush(written)
    os.replace(written, target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    """Have the operating system put a file's, or a folder's, content on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(
    path: Path, waiting: Callable[[], None] = lambda: None, patience: float = -1
) -> Iterator[None]:
    """Keep out other processes, and threads, that lock the same file until the block ends.

    The empty file `path` is made, with its parent folders, and stays. The lock ends with the
    process, however that ends. `waiting` is called if the lock is not free at first. Raises
    RuntimeError if this thread already has the lock, and filelock.Timeout if it is not free
    within `patience` seconds, unless that is negative.
    """
    # Without flock, a "soft" lock would be left behind by a killed process.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        hold = lock.acquire(blocking=False)
    except Timeout:
        waiting()
        hold = lock.acquire(timeout=patience)
    with hold:
        yield


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Make `folder` for the block, and have Python's tempfile put everything there by default.

    Keras and TensorFlow use it. What a killed process leaves of theirs, its next one then finds.
    """
    folder.mkdir(parents=True)
    before = tempfile.tempdir
    tempfile.tempdir = os.path.abspath(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


_IN_USE = ".in-use"


@contextmanager
def scratch_in(parent: Path) -> Iterator[Path]:
    """Make a folder in `parent` for the block. Remove those that killed processes have left."""
    with ExitStack() as stack:
        with locked(parent / ".scratch"):
            for left in parent.glob(".scratch-*"):
                with suppress(OSError), (left / _IN_USE).open("a") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left)
            name = stack.enter_context(
                tempfile.TemporaryDirectory(
                    dir=parent, prefix=".scratch-", ignore_cleanup_errors=True
                )
            )
            file = stack.enter_context((Path(name) / _IN_USE).open("a"))
            with suppress(OSError):  # not every disk has locks; then there is no removal either
                fcntl.flock(file, fcntl.LOCK_EX)
        yield Path(name)


def write_text(target: Path, text: str) -> None:
    """Write `text` to `target` as UTF-8, wholly or not at all."""
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file of at most `most` bytes.

    Raises OSError where it is missing, longer, or no regular file: a pipe would never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is not a regular file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it is longer than {most:,} bytes")
    return content


def state(path: Path) -> dict[str, int]:
    """Return a file's size and time of change, by which a stamp recognises it."""
    status = path.stat()
    return {"bytes": status.st_size, "changed_ns": status.st_mtime_ns}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder. Links are not followed.

    What vanishes meanwhile, or may not be read, counts as nothing.
    """
    try:
        if not stat.S_ISDIR((status := path.lstat()).st_mode):
            return status.st_size
        with os.scandir(path) as entries:
            return sum(size(Path(entry)) for entry in entries)
    except OSError:
        return 0
