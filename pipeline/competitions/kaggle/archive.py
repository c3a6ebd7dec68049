"""Unpacks the archive that Kaggle serves: either all of its files or none."""

import shutil
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing
from pipeline.competitions.kaggle.csv_shapes import SHAPES, check_csv
from pipeline.data.spec import SPEC

# Only these names are ever written. The archive may contain each as it is, or zipped once more.
_REQUIRED = tuple(SHAPES)
_OPTIONAL = (SPEC.sample_file,)

# What zipfile raises on damaged contents. It raises RuntimeError on encrypted ones, and its
# subclass NotImplementedError on a compression that it does not know.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


class BrokenArchiveError(PipelineError):
    """The archive is cut or damaged; another download may be complete."""


def unpack(archive: Path, folder: Path) -> None:
    """Put the competition's CSV files from `archive` into `folder`, replacing old ones.

    Before any file is replaced, each is read to its end, where zipfile compares its checksum, and
    its shape is checked. Raises BrokenArchiveError or PipelineError, and then `folder` has not
    changed.
    """
    try:
        with zipfile.ZipFile(archive) as file, ExitStack() as stack:
            _refuse_escapes(file)
            for name in (*_REQUIRED, *_OPTIONAL):
                if not _contains(file, name):
                    continue
                target = stack.enter_context(replacing(folder / name))
                _extract(file, name, target)
                if name in SHAPES:
                    _check_shape(target, name)
    except _DAMAGE as damage:
        raise BrokenArchiveError(
            f"{archive.name}: the downloaded file is not a whole zip archive ({damage}); run the "
            "same command again"
        ) from None
    except OSError as error:
        raise PipelineError(
            f"{folder}: cannot unpack {archive.name} there ({error.strerror}); 150 MB of free "
            "space and the right to write are needed"
        ) from None


def _refuse_escapes(file: zipfile.ZipFile) -> None:
    """Raise PipelineError if a member's name points outside the folder."""
    for name in file.namelist():
        path, windows = PurePosixPath(name), PureWindowsPath(name)
        if path.is_absolute() or windows.anchor or ".." in (*path.parts, *windows.parts):
            raise PipelineError(
                f"{SPEC.archive}: refused, because its member {name!r} points outside the folder; "
                f"only {', '.join(_REQUIRED)} and {SPEC.sample_file} belong in it; download it "
                "again over a network that you trust"
            )


def _contains(file: zipfile.ZipFile, name: str) -> bool:
    """Return whether the archive has `name`. Raises PipelineError if a required one is missing."""
    if {name, f"{name}.zip"} & set(file.namelist()):
        return True
    if name in _OPTIONAL:
        return False
    raise PipelineError(
        f"{SPEC.archive}: no {name} in it (found: {', '.join(file.namelist()) or 'nothing'})"
        f"; see {SPEC.url}/data for what the competition offers"
    )


def _check_shape(path: Path, name: str) -> None:
    """Raise PipelineError unless `path` has the shape of the competition's file `name`."""
    try:
        check_csv(path, SHAPES[name], f"{SPEC.archive}: {name}")
    except PipelineError as error:
        raise PipelineError(
            f"{error}; see {SPEC.url}/data: if the competition's data has changed, this "
            "version of the pipeline cannot use it"
        ) from None


def _extract(file: zipfile.ZipFile, name: str, target: Path) -> None:
    """Write the member `name`, or the one of that name in the member `name`.zip, to `target`."""
    if name in file.namelist():
        with file.open(name) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        return
    with file.open(f"{name}.zip") as inner, zipfile.ZipFile(inner) as nested:
        if name not in nested.namelist():
            raise zipfile.BadZipFile(f"no {name} in {name}.zip")
        _extract(nested, name, target)
