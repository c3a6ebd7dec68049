"""The run folder: its record, its members, its arrays.

`runs/<id>/run.json` is rewritten as a whole at each change. A reader always finds a complete
record, whatever happened to the process that wrote it.
"""

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import LostRunError, PipelineError, TimeLimitError
from pipeline.common.text import printable
from pipeline.runs import arrays, claim
from pipeline.runs.arrays import Arrays, DamagedArraysError
from pipeline.runs.fields import LONGEST_TEXT
from pipeline.runs.record_file import RECORD_FILE, read_record
from pipeline.runs.records import Member, Record, RunStatus, TrainingRecord

MEMBERS_FOLDER = "members"
CHECKPOINTS_FOLDER = "checkpoints"
HISTORY_FILE = "history.csv"
RESUME_FILE = "resume.npz"
"""In the folder of a member that is not done: everything that its next epoch depends on."""
SCRATCH_FOLDER = ".scratch"
"""How the name of a folder of temporary files begins, in the folder of a run that is held."""
NETWORK_FILE = "network.py"
"""In the folder of a run whose recipe names a network file of one's own: a copy of that file."""


class Run:
    """A run folder and its record. `save` writes the record back."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder = folder
        self.record = record
        self._claim: claim.Claim | None = None

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.record.id

    @property
    def training(self) -> TrainingRecord:
        """The record of a run that trains. Raises PipelineError for an average of runs."""
        if isinstance(self.record, TrainingRecord):
            return self.record
        raise PipelineError(
            f"run {self.id} averages {' and '.join(self.record.parents)} and has no network of "
            "its own; name one of them"
        )

    @property
    def continuation(self) -> str:
        """The command that continues the run's training."""
        record = self.training
        at_kaggle = bool(record.kernels) and not record.kernels[-1].ended
        # The versions of Kaggle's image are not known before a kernel has run.
        image = "libraries" in record.versions or any(one.image for one in record.kernels)
        kaggle = f"{' EXECUTOR=kaggle' * (at_kaggle or image)}{' KAGGLE_IMAGE=1' * image}"
        return f"make train RUN={self.id}{kaggle}"

    @property
    def network_source(self) -> str | None:
        """The text of a network file of one's own, None where the package has the network.

        Raises PipelineError where it is not the recorded one.
        """
        path = self.folder / NETWORK_FILE
        self._check_file(path)
        try:
            return path.read_text(encoding="utf-8") if path.is_file() else None
        except UnicodeDecodeError:
            raise PipelineError(f"{path} is not text in UTF-8; bring the file back") from None

    @property
    def scratch(self) -> Path:
        """The folder of temporary files, which is there while this process holds the run."""
        return self.folder / f"{SCRATCH_FOLDER}-{os.getpid()}"

    def member_folder(self, index: int) -> Path:
        """Return the folder of a member's history.csv and checkpoints."""
        return self.folder / MEMBERS_FOLDER / str(index)

    def checkpoint_paths(self, of: Member | None = None) -> list[Path]:
        """Return the files that the ensemble averages, of one member or of all, best first.

        Raises PipelineError where one is missing or not the recorded one, and for an average of
        runs, whose checkpoints are theirs.
        """
        paths = [
            self.member_folder(member.index) / CHECKPOINTS_FOLDER / checkpoint.file
            for member in ([of] if of else self.training.usable_members)
            for checkpoint in member.checkpoints
        ]
        for path in paths:
            self._check_file(path)
        return paths

    def save(self) -> None:
        """Write run.json, wholly or not at all. Raises LostRunError as `check_held`."""
        self.check_held()
        files.write_text(self.folder / RECORD_FILE, self.record.model_dump_json(indent=2) + "\n")

    def write(self, path: Path, content: bytes) -> None:
        """Write a file into the run folder, wholly or not at all.

        Its checksum goes into the record, which the caller saves. Raises LostRunError as
        `check_held`.
        """
        self.check_held()
        with files.replacing(path) as temporary:
            temporary.write_bytes(content)
        self.record.sha256[self._key(path)] = hashlib.sha256(content).hexdigest()

    def check_held(self) -> None:
        """Raise LostRunError if another host has taken over the run that this process holds."""
        if self._claim and self._claim.is_lost():
            raise LostRunError(
                f"run {self.id}: another process has taken it over, or removed it, while this one "
                "stood still for a minute or more; this one leaves it alone (make runs shows it)"
            )

    def forget_checksums(self, folder: Path, kept: set[str]) -> None:
        """Take the checksums of a folder's files out of the record, but for those of `kept`."""
        for name, path in ((name, self.folder / name) for name in list(self.record.sha256)):
            if path.parent == folder and path.name not in kept:
                del self.record.sha256[name]

    def save_arrays(self, name: str, **values: NDArray[Any]) -> None:
        """Write `<name>.npz` as `write` does.

        Raises PipelineError for arrays that `load_arrays` would refuse.
        """
        try:
            arrays.check(name, values)
        except ValueError as error:
            raise PipelineError(
                f"run {self.id}: its checkpoints give no {name}.npz ({error}); train the run again "
                "with FORCE=1"
            ) from None
        self.write(self.folder / f"{name}.npz", arrays.pack(values))

    def load_arrays(self, name: str) -> Arrays:
        """Read `<name>.npz`; `arrays.check` says what it holds.

        Raises DamagedArraysError where it is missing, damaged, or not the recorded one.
        """
        path = self.folder / f"{name}.npz"
        try:
            content = files.read_bytes(path, arrays.LARGEST)
            if self._recorded(path) not in (None, hashlib.sha256(content).hexdigest()):
                raise DamagedArraysError(f"{path} differs from what run.json records", self.id)
            loaded = arrays.unpack(content)
            arrays.check(name, loaded)
        except FileNotFoundError:
            raise DamagedArraysError(f"{path} is missing", self.id) from None
        except (OSError, ValueError) as error:
            detail = error.strerror if isinstance(error, OSError) else None
            raise DamagedArraysError(f"{path} is damaged ({detail or error})", self.id) from None
        return loaded

    def _recorded(self, path: Path) -> str | None:
        """Return a file's recorded checksum, None where it has none, as in older runs."""
        return self.record.sha256.get(self._key(path))

    def _key(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _check_file(self, path: Path) -> None:
        """Raise PipelineError if a file with a recorded checksum is missing or has another one."""
        recorded = self._recorded(path)
        if recorded is None or (path.is_file() and files.sha256(path) == recorded):
            return
        problem = "differs from what run.json records" if path.is_file() else "is missing"
        raise PipelineError(
            f"{path} {problem}, and cannot be made again; bring the file back, or train the recipe "
            "anew: make train FORCE=1, with the run's RECIPE, SET and SEED"
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run for this process. Read its record again, since it may have changed.

        Raises PipelineError if another process holds it.
        """
        with claim.claimed(self.folder) as self._claim:
            try:
                self.record = read_record(self.folder / RECORD_FILE)
                self._remove_leftovers()
                with files.temporary_files_in(self.scratch):
                    yield
            finally:
                self._claim = None

    def _remove_leftovers(self) -> None:
        """Delete what a process that was killed in the middle of a write has left behind."""
        for folder in ("", f"{MEMBERS_FOLDER}/*/", f"{MEMBERS_FOLDER}/*/{CHECKPOINTS_FOLDER}/"):
            for path in self.folder.glob(f"{folder}.*"):
                is_folder = path.is_dir() and not path.is_symlink()
                shutil.rmtree(path) if is_folder else path.unlink()

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """Record that this process, which holds the run, works on it, and how that ends."""
        self.record.status, self.record.reason = "running", ""
        self.record.host, self.record.process = socket.gethostname(), os.getpid()
        self.save()
        try:
            yield
        except LostRunError:
            raise
        except KeyboardInterrupt as interrupt:
            self.record.status, self.record.reason = "interrupted", str(interrupt) or "Ctrl-C"
            raise
        except BrokenPipeError:
            self.record.status, self.record.reason = "interrupted", "nobody reads its output"
            raise
        except TimeLimitError:
            self.record.status, self.record.reason = "interrupted", "its time limit"
            raise
        except BaseException as error:
            self.record.status = "failed"
            first_line = f"{type(error).__name__}: {error}".splitlines()[0]
            self.record.reason = printable(first_line, LONGEST_TEXT)
            raise
        else:
            self.record.status = "done"
        finally:
            self.record.members = _not_running(self.record.members)
            with suppress(LostRunError):
                self.save()

    def state(self) -> RunStatus:
        """Return the status, but "interrupted" for a run whose process is gone."""
        record = self.record
        if record.status != "running":
            return record.status
        alive = claim.is_alive(self.folder, record.host, record.process)
        return "running" if alive else "interrupted"

    def members(self) -> list[Member]:
        """Return the members. None of them is "running" where the run's process is gone."""
        members = self.record.members
        return members if self.state() == "running" else _not_running(members)


def _not_running(members: list[Member]) -> list[Member]:
    """Return the members, with those that were running as interrupted."""
    return [
        one.model_copy(update={"status": "interrupted"}) if one.status == "running" else one
        for one in members
    ]
