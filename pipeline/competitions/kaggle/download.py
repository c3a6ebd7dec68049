"""The digits as Kaggle serves them, downloaded with the kaggle command."""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle.archive import BrokenArchiveError, check_files, unpack
from pipeline.competitions.kaggle.calls import call
from pipeline.competitions.kaggle.credentials import require_credentials
from pipeline.data.dataset import DataFiles
from pipeline.data.spec import SPEC


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
        if not self._is_stamped():
            # Two commands at once would remove each other's download.
            lock = self.folder.with_name(f".{self.folder.name}.lock")
            with files.locked(lock, lambda: self.report("waiting for another download to end")):
                if not self._files_are_good():
                    self._download()
                # In a folder that cannot be written to, the next check is merely slower.
                with suppress(OSError):
                    files.write_text(self._stamp, json.dumps(self._states(), indent=2) + "\n")
        return DataFiles(self.folder / SPEC.train_file, self.folder / SPEC.test_file)

    @property
    def _stamp(self) -> Path:
        return self.folder / ".checked.json"

    def _states(self) -> dict[str, dict[str, int]]:
        return {name: files.state(self.folder / name) for name in (SPEC.train_file, SPEC.test_file)}

    def _is_stamped(self) -> bool:
        """Return whether both files are as the stamp records them."""
        try:
            return bool(json.loads(self._stamp.read_text(encoding="utf-8")) == self._states())
        except (OSError, ValueError):
            return False

    def _files_are_good(self) -> bool:
        """Return whether both data files exist, with every cell right. Reports a wrong one."""
        try:
            self._states()
            check_files(self.folder)
        except FileNotFoundError:
            return False
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
        temporary = self.folder / ".download"
        try:
            try:
                unpack(self._download_archive(temporary), self.folder)
            except BrokenArchiveError as error:
                self.report(f"{error}: downloading it once more")
                unpack(self._download_archive(temporary), self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _download_archive(self, folder: Path) -> Path:
        """Download the archive into `folder` and return its path."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PipelineError(
                f"{folder}: cannot make this folder ({error.strerror}); it must be writable"
            ) from None
        archive = folder / SPEC.archive

        def report_size(seconds: float) -> None:
            size = archive.stat().st_size / 1e6 if archive.exists() else 0.0
            self.report(f"downloading: {size:.1f} MB after {seconds:.0f} s")

        self.report(f"downloading {SPEC.archive} (15 MB) from Kaggle")
        # -o, because without it the command takes a leftover of the right size for the real one.
        arguments = ["competitions", "download", SPEC.slug, "-o", "-p", str(folder)]
        call(
            arguments,
            "downloading the data",
            time_limit=self.download_limit,
            on_beat=report_size,
        )
        if not archive.is_file():
            raise PipelineError(
                f"{archive.name}: the kaggle command reported success but left no such file; run "
                "`make setup` to get the locked version of kaggle"
            )
        return archive
