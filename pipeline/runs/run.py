"""The run folder: its record, its members, its arrays.

`runs/<id>/run.json` is rewritten as a whole at each change, so that a reader always finds a
complete record, whatever happened to the process that wrote it.
"""

import os
import shutil
import socket
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing, write_text
from pipeline.runs import claim
from pipeline.runs.records import SCHEMA_VERSION, Checkpoint, Member, Record, Status

RESUME_FILE = "resume.npz"
"""In the folder of a member that is not done: all that its next epoch depends on."""


class Run:
    """A run folder and its record; `save` writes the record back."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder = folder
        self.record = record

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.record.id

    def member_folder(self, index: int) -> Path:
        """Where a member keeps its history.csv and checkpoints."""
        return self.folder / "members" / str(index)

    def checkpoint_paths(self, of: Member | None = None) -> list[Path]:
        """The files that the ensemble of one member, or of all in order, averages, best first."""
        return [
            self.member_folder(member.index) / "checkpoints" / checkpoint.file
            for member in ([of] if of else self.record.usable_members)
            for checkpoint in member.checkpoints
        ]

    def save(self) -> None:
        """Write run.json, wholly or not at all."""
        write_text(self.folder / "run.json", self.record.model_dump_json(indent=2) + "\n")

    def save_arrays(self, name: str, **arrays: NDArray[Any]) -> None:
        """Write `<name>.npz` into the run folder, wholly or not at all."""
        with replacing(self.folder / f"{name}.npz") as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)

    def load_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Read `<name>.npz`. Raises PipelineError where it is missing or damaged."""
        path = self.folder / f"{name}.npz"
        try:
            # A path given to NumPy would stay open where the zip in it is broken.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise PipelineError(
                f"{path} cannot be read ({error}); make it again with make ensemble RUN={self.id} "
                "FORCE=1"
            ) from None

    def has_probabilities(self) -> bool:
        """Say whether validation.npz and test.npz have been written for the record's scores."""
        return self.record.scores is not None and all(
            (self.folder / f"{name}.npz").is_file() for name in ("validation", "test")
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run for this process, and read its record again: it may have changed.

        Raises PipelineError if another process holds it.
        """
        with claim.claimed(self.folder):
            self.record = read_record(self.folder / "run.json")
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        """Delete what a process that was killed in the middle of a write has left behind."""
        for folder in ("", "members/*/", "members/*/checkpoints/"):
            for path in self.folder.glob(f"{folder}.*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def worked_on(self) -> Iterator[None]:
        """Record that this process, which holds the run, works on it; then how that ended."""
        self.record.status, self.record.reason = "running", ""
        self.record.host, self.record.process = socket.gethostname(), os.getpid()
        self.save()
        with self._recorded():
            yield

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self.record.status, self.record.reason = "interrupted", "Ctrl-C"
            raise
        except BaseException as error:
            self.record.status = "failed"
            self.record.reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise
        else:
            self.record.status = "done"
        finally:
            self.record.members = _at_rest(self.record.members)
            self.save()

    def state(self) -> Status:
        """Return the status, but "interrupted" for a run whose process is gone."""
        record = self.record
        if record.status != "running":
            return record.status
        alive = claim.is_alive(self.folder, record.host, record.process)
        return "running" if alive else "interrupted"

    def members(self) -> list[Member]:
        """Return the members as they are: none is running where the run's process is gone."""
        members = self.record.members
        return members if self.state() == "running" else _at_rest(members)


def remove_strays(folder: Path, kept: Sequence[Checkpoint]) -> None:
    """Delete the checkpoint files in `folder` that are not among those kept."""
    names = {one.file for one in kept}
    for path in folder.glob("*.keras"):
        if path.name not in names:
            path.unlink()


def _at_rest(members: list[Member]) -> list[Member]:
    """Return the members, those that were running as interrupted."""
    return [
        one.model_copy(update={"status": "interrupted"}) if one.status == "running" else one
        for one in members
    ]


def read_record(path: Path) -> Record:
    """Return the record in a run.json. Raises PipelineError where it is missing or damaged."""
    try:
        return Record.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        detail = str(error).splitlines()[0]
        raise PipelineError(
            f"{path} is not a run record of schema {SCHEMA_VERSION} ({detail}); move the folder "
            "away, or delete it"
        ) from None
