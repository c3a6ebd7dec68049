"""The folder that holds all runs: making runs, and finding them again."""

import os
import shutil
import socket
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report, ignore
from pipeline.common.text import printable
from pipeline.runs.record_file import RECORD_FILE, read_record
from pipeline.runs.records import Record
from pipeline.runs.run import MEMBERS_FOLDER, NETWORK_FILE, Run


class RunStore:
    """The folder that holds all runs.

    `warn` gets one line, once, for each run whose record cannot be read. `unreadable` has these
    lines by the folders' names.
    """

    def __init__(self, folder: Path, warn: Report = ignore) -> None:
        self.folder = folder
        self.unreadable: dict[str, str] = {}
        self._warn = warn

    def create(self, record: Record, network_source: str | None = None) -> Run:
        """Make the folder of a new run, named by the record's id, and save the record.

        Where the name is taken, "-2", "-3", ... is added; an empty folder, which a killed process
        has left, does not take it. Host, process and time are filled in. `network_source` is the
        text of a network file of one's own, of which the run keeps a copy. If the record cannot be
        saved, no folder is left. Hold `locked` meanwhile.
        """
        base = record.id
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in range(2, 10_000):
            folder = self.folder / record.id
            with suppress(OSError):
                folder.rmdir()
            try:
                folder.mkdir()
                break
            except FileExistsError:
                record.id = f"{base}-{number}"
        record.host, record.process = socket.gethostname(), os.getpid()
        record.created_at = now()
        run = Run(folder, record)
        try:
            if network_source is not None:
                run.write(run.folder / NETWORK_FILE, network_source.encode())
            run.save()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return run

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from making runs until the block ends."""
        return files.locked(self.folder / ".lock")

    def all(self) -> list[Run]:
        """Return every run whose record can be read, oldest first."""
        runs = []
        for path in self._record_files():
            try:
                runs.append(_read(path))
            except PipelineError as error:
                self._leave_out(path.parent.name, str(error))
        for folder in (path.parent for path in self._visible(f"{MEMBERS_FOLDER}/")):
            if not (folder / RECORD_FILE).exists():
                fix = "bring it back, or move the folder away (its checkpoints go with it)"
                self._leave_out(folder.name, f"{folder / RECORD_FILE} is missing; {fix}")
        return sorted(runs, key=lambda run: (run.record.created_at, run.id))

    def _leave_out(self, folder: str, error: str) -> None:
        name, reason = printable(folder), printable(error, 500)
        if name not in self.unreadable:
            self._warn(f"left out: {reason}")
        self.unreadable[name] = reason

    def get(self, name: str) -> Run:
        """Return the run of exactly this id. Raises PipelineError if it is missing or damaged."""
        return _read(self.folder / name / RECORD_FILE)

    def find(self, prefix: str) -> Run:
        """Return the one run whose id is, or else begins with, `prefix`. Raises PipelineError."""
        beginning = Path(prefix).name  # runs/<id>/, as a shell completes it, is accepted too
        names = [path.parent.name for path in self._record_files()]
        matches = [name for name in names if name.startswith(beginning)]
        if beginning in names:
            matches = [beginning]
        if len(matches) == 1 and beginning:
            return self.get(matches[0])
        fits = beginning and matches
        matched = f"it fits {', '.join(matches)}" if fits else "no run begins with it"
        raise PipelineError(
            f"RUN is {printable(repr(prefix))}: {printable(matched, 500)}; give an id, or a unique "
            "beginning of one (make runs lists them)"
        )

    def _record_files(self) -> list[Path]:
        return self._visible(RECORD_FILE)

    def _visible(self, name: str) -> list[Path]:
        """Return what has this name in the folders of runs, but for those being removed."""
        return sorted(path for path in self.folder.glob(f"*/{name}") if path.parent.name[0] != ".")

    def with_identity(self, identity: str, done: bool = True) -> list[Run]:
        """Return the runs of an identity, newest first: those that are done, or the others."""
        return [
            run
            for run in reversed(self.all())
            if run.record.identity == identity and (run.record.status == "done") == done
        ]


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Run:
    return Run(path.parent, read_record(path))
