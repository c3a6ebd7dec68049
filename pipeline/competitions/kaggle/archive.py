"""Unpacks the archive that Kaggle serves: either all of its files or none."""

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipeline.common.errors import PipelineError
from pipeline.common.files import publish
from pipeline.data.digits import read_test, read_train
from pipeline.data.spec import SPEC

# What zipfile raises on damaged contents. It raises RuntimeError on encrypted ones, and its
# subclass NotImplementedError on a compression that it does not know.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


class BrokenArchiveError(PipelineError):
    """The archive is cut or damaged; another download may be complete."""


def check_files(folder: Path) -> None:
    """Check every cell of train.csv and test.csv in `folder`. Raises PipelineError."""
    read_train(folder / SPEC.train_file, SPEC.train_rows)
    read_test(folder / SPEC.test_file, SPEC.test_rows)


def unpack(archive: Path, folder: Path) -> None:
    """Put the competition's CSV files from `archive` into `folder`, replacing old ones.

    They are first written beside the archive, which must be on the same disk: each is read to its
    end, where zipfile compares its checksum, and every cell is checked. Raises BrokenArchiveError
    or PipelineError, and then `folder` has not changed.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            names = _names_to_unpack(file)
            for name in names:
                _extract(file, name, archive.with_name(name))
        _check_unpacked(archive.parent)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            publish(archive.with_name(name), folder / name)
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


def _names_to_unpack(file: zipfile.ZipFile) -> list[str]:
    """Return the names of the files to unpack; no others are ever written.

    The archive may contain each as it is, or zipped once more. Raises PipelineError if a data file
    is missing, or if any member's name points outside the folder.
    """
    required, members = (SPEC.train_file, SPEC.test_file), file.namelist()
    for member in members:
        path, windows = PurePosixPath(member), PureWindowsPath(member)
        if path.is_absolute() or windows.anchor or ".." in (*path.parts, *windows.parts):
            raise PipelineError(
                f"{SPEC.archive}: refused, because its member {member!r} points outside the "
                f"folder; only {', '.join(required)} and {SPEC.sample_file} belong in it; download "
                "it again over a network that you trust"
            )
    names = [
        name
        for name in (*required, SPEC.sample_file)
        if name in members or f"{name}.zip" in members
    ]
    for name in required:
        if name not in names:
            raise PipelineError(
                f"{SPEC.archive}: no {name} in it (found: {', '.join(members) or 'nothing'}); see "
                f"{SPEC.url}/data for what the competition offers"
            )
    return names


def _check_unpacked(folder: Path) -> None:
    try:
        check_files(folder)
    except PipelineError as error:
        raise PipelineError(
            f"{SPEC.archive} is not as expected: {error}; if Kaggle has changed the data (see "
            f"{SPEC.url}/data), this version of the pipeline cannot use it"
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
