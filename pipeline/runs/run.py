"""The run folder: its record, its members, its arrays.

`runs/<id>/run.json` is rewritten as a whole at each change. A reader always finds a complete
record, whatever happened to the process that wrote it.
"""

import json
import os
import shutil
import socket
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing, write_text
from pipeline.runs import claim
from pipeline.runs.records import (
    SCHEMA_VERSION,
    Member,
    Record,
    RunStatus,
    TrainingRecord,
    from_version_1,
)

CHECKPOINTS_FOLDER = "checkpoints"
HISTORY_FILE = "history.csv"
RESUME_FILE = "resume.npz"
"""In the folder of a member that is not done: everything that its next epoch depends on."""
NETWORK_FILE = "network.py"
"""In the folder of a run whose recipe names a network file of one's own: a copy of that file."""

_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


class Run:
    """A run folder and its record. `save` writes the record back."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder = folder
        self.record = record

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
    def network_source(self) -> str | None:
        """The text of a network file of one's own, None where the package has the network."""
        path = self.folder / NETWORK_FILE
        return path.read_text(encoding="utf-8") if path.exists() else None

    def member_folder(self, index: int) -> Path:
        """Return the folder of a member's history.csv and checkpoints."""
        return self.folder / "members" / str(index)

    def checkpoint_paths(self, of: Member | None = None) -> list[Path]:
        """Return the files that the ensemble averages, of one member or of all, best first.

        Raises PipelineError for an average of runs, whose checkpoints are theirs.
        """
        return [
            self.member_folder(member.index) / CHECKPOINTS_FOLDER / checkpoint.file
            for member in ([of] if of else self.training.usable_members)
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
        """Return whether validation.npz and test.npz are there for the record's scores."""
        return self.record.scores is not None and all(
            (self.folder / f"{name}.npz").is_file() for name in ("validation", "test")
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run for this process. Read its record again, since it may have changed.

        Raises PipelineError if another process holds it.
        """
        with claim.claimed(self.folder):
            self.record = read_record(self.folder / "run.json")
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        """Delete what a process that was killed in the middle of a write has left behind."""
        for folder in ("", "members/*/", f"members/*/{CHECKPOINTS_FOLDER}/"):
            for path in self.folder.glob(f"{folder}.*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """Record that this process, which holds the run, works on it, and how that ends."""
        self.record.status, self.record.reason = "running", ""
        self.record.host, self.record.process = socket.gethostname(), os.getpid()
        self.save()
        try:
            yield
        except KeyboardInterrupt as interrupt:
            self.record.status, self.record.reason = "interrupted", str(interrupt) or "Ctrl-C"
            raise
        except BaseException as error:
            self.record.status = "failed"
            self.record.reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise
        else:
            self.record.status = "done"
        finally:
            self.record.members = _not_running(self.record.members)
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


def read_record(path: Path) -> Record:
    """Return the record in a run.json of any version so far.

    Raises PipelineError where the file is missing or damaged, or of a version to come.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values["schema_version"]
        if version not in (1, SCHEMA_VERSION):
            raise PipelineError(
                f"{path}: schema_version is {version!r}; this version of the pipeline reads 1 to "
                f"{SCHEMA_VERSION}; use the version that wrote it, or move the folder away"
            )
        return _RECORD.validate_python(from_version_1(values) if version == 1 else values)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        detail = _first_problem(error)
        raise PipelineError(
            f"{path} is not a run record ({detail}); move the folder away, or delete it"
        ) from None


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        _, *key = first["loc"]  # the first part is the kind of record
        return f"{'.'.join(map(str, key))}: {first['msg']}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error}"
    return f"no {error}" if isinstance(error, KeyError) else str(error)
