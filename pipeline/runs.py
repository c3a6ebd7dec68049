"""The run folder: its record, its arrays, and finding runs again.

`runs/<id>/run.json` is rewritten as a whole at each change, so that a reader always finds a
complete record, whatever happened to the process that wrote it.
"""

import os
import socket
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import PipelineError
from pipeline.files import replacing, write_text

SCHEMA_VERSION = 1

Status = Literal["running", "interrupted", "failed", "done"]


class Checkpoint(BaseModel):
    """One saved epoch of a member: file name in its checkpoints folder, epoch from 1, scores."""

    file: str
    epoch: int
    val_accuracy: float
    val_loss: float


class Member(BaseModel):
    """One trained network of a run; `epochs` counts those trained, `seconds` is wall time.

    `parameters` counts the network's weights, those that are not trained too; 0 in the records of
    earlier versions.
    """

    index: int
    seed: int
    parameters: int = 0
    epochs: int
    seconds: float
    checkpoints: list[Checkpoint]


class Scores(BaseModel):
    """What the ensemble scores on the validation rows: shares in [0, 1], log loss in nats.

    `interval` is the Wilson 95 % interval of the accuracy. The test accuracy and its interval are
    there where the source publishes its test labels. `training_accuracy`, on the training rows as
    they are, without warps or dropout, is there once it was asked for.
    """

    validation_accuracy: float
    validation_rows: int
    interval: tuple[float, float]
    log_loss: float
    test_accuracy: float | None = None
    test_rows: int = 0
    test_interval: tuple[float, float] | None = None
    training_accuracy: float | None = None


class Record(BaseModel):
    """run.json. `parents` names the runs that an ensemble of several runs was made from."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    id: str
    identity: str
    status: Status
    reason: str = ""
    recipe: dict[str, Any]
    recipe_name: str
    seed: int
    parents: list[str] = []
    source: str
    practice_seed: int
    data_fingerprint: str
    split_fingerprint: str
    code_fingerprint: str
    versions: dict[str, str]
    git: dict[str, Any]
    hardware: dict[str, Any] = {}
    host: str = ""
    process: int = 0
    created_at: str = ""
    timings: dict[str, float] = {}
    members: list[Member] = []
    scores: Scores | None = None

    @property
    def checkpoint_count(self) -> int:
        """The number of checkpoints that the run's ensemble averages."""
        return sum(len(member.checkpoints) for member in self.members)


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

    def checkpoint_paths(self) -> list[Path]:
        """The files that the run's ensemble averages, members in order, best epoch first."""
        return [
            self.member_folder(member.index) / "checkpoints" / checkpoint.file
            for member in self.record.members
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
    def recorded(self) -> Iterator[None]:
        """Record the run as done, interrupted or failed, whichever way the block ends."""
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
            self.save()

    def state(self) -> Status:
        """Return the status, but "interrupted" for a run whose process on this host is gone."""
        record = self.record
        if record.status == "running" and record.host == socket.gethostname():
            return "running" if _alive(record.process) else "interrupted"
        return record.status


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class RunStore:
    """The folder that holds all runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, record: Record) -> Run:
        """Make the folder of a new run, named after the record's id, and save the record.

        Where the name is taken, "-2", "-3", ... is added. Host, process and time are filled in.
        """
        wanted = record.id
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in range(2, 10_000):
            try:
                (self.folder / record.id).mkdir()
                break
            except FileExistsError:
                record.id = f"{wanted}-{number}"
        record.host, record.process = socket.gethostname(), os.getpid()
        record.created_at = now()
        run = Run(self.folder / record.id, record)
        run.save()
        return run

    def all(self) -> list[Run]:
        """Return every run, oldest first. Raises PipelineError for a record that is damaged."""
        runs = [_read(path) for path in sorted(self.folder.glob("*/run.json"))]
        return sorted(runs, key=lambda run: (run.record.created_at, run.id))

    def find(self, prefix: str) -> Run:
        """Return the one run whose id is, or else begins with, `prefix`. Raises PipelineError."""
        prefix = Path(prefix).name  # a completed path, runs/<id>/, will do
        if (self.folder / prefix / "run.json").is_file():
            return _read(self.folder / prefix / "run.json")
        matches = [path.parent.name for path in sorted(self.folder.glob("*/run.json"))]
        matches = [name for name in matches if name.startswith(prefix)]
        if len(matches) == 1:
            return _read(self.folder / matches[0] / "run.json")
        found = f"it fits {', '.join(matches)}" if matches else "no run begins so"
        raise PipelineError(
            f"RUN is {prefix!r}: {found}; give an id or a unique beginning of one (make compare "
            "lists them)"
        )

    def with_identity(self, identity: str) -> list[Run]:
        """Return the finished runs of an identity, newest first."""
        return [
            run
            for run in reversed(self.all())
            if run.record.identity == identity and run.record.status == "done"
        ]


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Run:
    try:
        record = Record.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        detail = str(error).splitlines()[0]
        raise PipelineError(
            f"{path} is not a run record of schema {SCHEMA_VERSION} ({detail}); move the folder "
            "away, or delete it"
        ) from None
    return Run(path.parent, record)
