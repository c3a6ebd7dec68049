"""The digits as Kaggle serves them: downloaded, checked, and put in place all together or not."""

import json
import resource
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.competitions.kaggle.archive import BrokenArchiveError, open_archive, write_member
from pipeline.competitions.kaggle.calls import call
from pipeline.competitions.kaggle.credentials import require_credentials
from pipeline.data.dataset import DataFiles
from pipeline.data.digits import read_test, read_train
from pipeline.data.spec import SPEC

_LARGEST = {SPEC.train_file: 200_000_000, SPEC.test_file: 200_000_000, SPEC.sample_file: 2_000_000}
"""The most bytes of each file. 42,000 rows of 785 cells of at most 4 characters are 132 MB."""

_LARGEST_ARCHIVE = 300_000_000  # bytes; Kaggle's has 15 MB
_NEEDED_SPACE = 150_000_000  # bytes: the archive and what is in it, 77 MB of it in train.csv
_NEEDED_FILE = 100_000_000


@dataclass(frozen=True, kw_only=True)
class KaggleSource:
    """The source `kaggle`: the competition's files in `folder`.

    `report` gets progress lines. `download_limit` bounds the download, in seconds. The stamp
    `.checked.json` records the files that were checked, so that the next check is cheap.
    """

    location = "kaggle"

    folder: Path
    report: Report
    # 15 MB; the command itself gives up on a connection that is silent for 300 s.
    download_limit: float = 1800.0

    def fetch(self) -> DataFiles:
        """Make sure that train.csv and test.csv exist, checked and complete; return their paths.

        Costs next to nothing if they were checked before. Raises PipelineError, and then nothing
        in the folder has changed.
        """
        if not self._is_stamped() or self._temporary.exists():
            # Two commands at once would remove each other's download.
            lock = self.folder.with_name(f".{self.folder.name}.lock")
            with files.locked(lock, lambda: self.report("waiting for another download to end")):
                shutil.rmtree(self._temporary, ignore_errors=True)  # of a killed process
                if not self._files_are_good():
                    self._download()
                # In a folder that cannot be written to, the next check is merely slower.
                with suppress(OSError):
                    files.write_text(self._stamp, json.dumps(self._states(), indent=2) + "\n")
        return DataFiles(self.folder / SPEC.train_file, self.folder / SPEC.test_file)

    @property
    def _stamp(self) -> Path:
        return self.folder / ".checked.json"

    @property
    def _temporary(self) -> Path:
        return self.folder / ".download"

    def _states(self) -> dict[str, dict[str, int]]:
        return {name: files.state(self.folder / name) for name in SPEC.data_files}

    def _is_stamped(self) -> bool:
        """Return whether both files are as the stamp records them."""
        try:
            return bool(json.loads(self._stamp.read_text(encoding="utf-8")) == self._states())
        except (OSError, ValueError):
            return False

    def _files_are_good(self) -> bool:
        """Return whether both data files exist, with every cell right. Reports a wrong one."""
        if not all((self.folder / name).is_file() for name in SPEC.data_files):
            return False
        try:
            check_files(self.folder)
        except PipelineError as error:
            self.report(f"{error}: downloading both files again")
            return False
        return True

    def _download(self) -> None:
        """Download the archive and unpack it.

        The archive gets a folder of its own that is always removed afterwards: the unpacked files
        are stamped as checked, and the rest of a cut download could not be trusted anyway.
        """
        require_credentials()
        try:
            try:
                unpack(self._download_archive(self._temporary), self.folder)
            except BrokenArchiveError as error:
                self.report(f"{error}: downloading it once more")
                unpack(self._download_archive(self._temporary), self.folder)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _download_archive(self, folder: Path) -> Path:
        """Download the archive into `folder` and return its path."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PipelineError(
                f"{folder}: cannot make this folder ({error.strerror}); it must be writable"
            ) from None
        archive = folder / SPEC.archive
        check_space(self.folder, _NEEDED_SPACE)

        def report_size(seconds: float) -> None:
            size = archive.stat().st_size if archive.exists() else 0
            self.report(f"downloading: {size / 1e6:.1f} MB after {seconds:.0f} s")
            # The command itself takes a full disk for a broken connection, and retries for 70 s.
            check_space(self.folder, max(_NEEDED_SPACE - size, _NEEDED_FILE))

        self.report(f"downloading {SPEC.archive} (15 MB) from Kaggle")
        # -o, because without it the command takes a leftover of the right size for the real one.
        arguments = ["competitions", "download", SPEC.slug, "-o", "-p", str(folder)]
        call(
            arguments,
            f"downloading the data into {printable(self.folder)}",
            self.download_limit,
            report_size,
        )
        if not archive.is_file():
            raise PipelineError(
                f"{archive.name}: the kaggle command reported success but left no such file; run "
                "`make setup` to get the locked version of kaggle"
            )
        return archive


def check_space(folder: Path, needed: int) -> None:
    """Raise PipelineError unless `needed` bytes, and large enough files, may be written there."""
    free, largest = shutil.disk_usage(folder).free, resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if free < needed:
        raise PipelineError(
            f"{printable(folder)}: its disk has {free / 1e6:,.0f} MB free; {needed / 1e6:,.0f} MB "
            "are needed for the data, make room"
        )
    if largest != resource.RLIM_INFINITY and largest < _NEEDED_FILE:
        raise PipelineError(
            f"{printable(folder)}: files of at most {largest / 1e6:,.1f} MB may be written "
            f"(ulimit -f); {_NEEDED_FILE / 1e6:,.0f} MB are needed for the data, raise the limit"
        )


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
        with open_archive(archive, _LARGEST_ARCHIVE) as file:
            names = _names_to_unpack(file.namelist())
            for name in names:
                _extract(file, name, archive.with_name(name))
        _check_unpacked(archive.parent)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            files.publish(archive.with_name(name), folder / name)
    except OSError as error:
        raise PipelineError(
            f"{folder}: cannot unpack {archive.name} there ({error.strerror}); 150 MB of free "
            "space and the right to write are needed"
        ) from None


def _names_to_unpack(members: Sequence[str]) -> list[str]:
    """Return the names of the files to unpack; no others are ever written.

    The archive may contain each as it is, or zipped once more. Raises PipelineError if a data file
    is missing.
    """
    names = (*SPEC.data_files, SPEC.sample_file)
    present = [name for name in names if name in members or f"{name}.zip" in members]
    for name in SPEC.data_files:
        if name not in present:
            found = printable(", ".join(members) or "nothing")
            raise PipelineError(
                f"{SPEC.archive}: no {name} in it (found: {found}); see {SPEC.url}/data for what "
                "the competition offers"
            )
    return present


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
        write_member(file, name, target, _LARGEST[name])
        return
    packed = target.with_name(f"{name}.zip")
    write_member(file, packed.name, packed, _LARGEST[name])
    with open_archive(packed, _LARGEST[name]) as nested:
        if name not in nested.namelist():
            raise zipfile.BadZipFile(f"no {name} in it")
        write_member(nested, name, target, _LARGEST[name])
