"""Reads zip archives that may be damaged or hostile: piece by piece, and up to a limit."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.data.spec import SPEC

# What zipfile raises on damaged contents. It raises RuntimeError on encrypted ones, and a subclass
# of it on a version that it does not know. Names that cannot be decoded raise ValueError, and
# damaged headers any of the last ones.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ValueError, LookupError, OverflowError, struct.error, MemoryError),
)

_MOST_MEMBERS = 100
_LARGEST_PIECE = 1 << 20  # bytes
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BrokenArchiveError(PipelineError):
    """The archive is cut or damaged; another download may be complete."""


@contextmanager
def open_archive(path: Path, largest: int) -> Iterator[zipfile.ZipFile]:
    """Open an archive of at most `largest` bytes.

    Raises BrokenArchiveError if it is damaged, also where that shows only in the block, and
    PipelineError if it is larger, has too many members, or one whose name points outside.
    """
    _check_size(path.stat().st_size, largest, path.name)
    try:
        with _Pieces(io.FileIO(path)) as pieces, zipfile.ZipFile(pieces) as file:
            _check_names(file.namelist())
            yield file
    except _DAMAGE as damage:
        raise BrokenArchiveError(
            f"{path.name}: the downloaded file is not a whole zip archive "
            f"({printable(str(damage) or type(damage).__name__)}); run the same command again"
        ) from None


def write_member(file: zipfile.ZipFile, member: str, target: Path, largest: int) -> None:
    """Write a member of at most `largest` bytes to `target`. Raises PipelineError.

    The archive's own word on the size is not trusted. zipfile cannot unpack other methods piece by
    piece: a kilobyte of bzip2 becomes gigabytes in memory.
    """
    if file.getinfo(member).compress_type not in _METHODS:
        raise _refused(f"{printable(member)} is not packed by deflate")
    with file.open(member) as source, target.open("wb") as sink:
        size = 0
        while block := source.read(_LARGEST_PIECE):
            size += len(block)
            _check_size(size, largest, member)
            sink.write(block)


class _Pieces(io.BufferedReader):
    """An archive of which zipfile cannot read a list of millions of members into memory."""

    def read(self, size: int | None = -1) -> bytes:
        """Read as a file does. Raises PipelineError if more than a MiB is asked for at once."""
        if size is not None and size > _LARGEST_PIECE:
            raise _refused(f"its list of members has {size / 1e6:,.0f} MB")
        return super().read(size)


def _refused(reason: str) -> PipelineError:
    return PipelineError(
        f"{SPEC.archive}: refused, because {reason}; see {SPEC.url} for what the competition offers"
    )


def _check_size(size: int, largest: int, name: str) -> None:
    """Raise PipelineError if a file has more bytes than the competition's can have."""
    if size > largest:
        raise _refused(f"{printable(name)} has more than {largest / 1e6:,.0f} MB")


def _check_names(members: Sequence[str]) -> None:
    """Raise PipelineError if there are too many members, or if one's name points outside."""
    if len(members) > _MOST_MEMBERS:
        raise _refused(f"it has {len(members):,} members, and {_MOST_MEMBERS} are allowed")
    for member in members:
        path, windows = PurePosixPath(member), PureWindowsPath(member)
        if path.is_absolute() or windows.anchor or ".." in (*path.parts, *windows.parts):
            raise PipelineError(
                f"{SPEC.archive}: refused, because its member {printable(member)!r} points "
                "outside the folder; download it again over a network that you trust"
            )
