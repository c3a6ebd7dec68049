"""The folder that holds all runs: making runs, and finding them again."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.files import write_text
from pipeline.runs.records import Record
from pipeline.runs.run import NETWORK_FILE, Run, read_record


class RunStore:
    """The folder that holds all runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, record: Record, network_source: str | None = None) -> Run:
        """Make the folder of a new run, named by the record's id, and save the record.

        Where the name is taken, "-2", "-3", ... is added. Host, process and time are filled in.
        `network_source` is the text of a network file of one's own, of which the run keeps a copy.
        """
        base = record.id
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in range(2, 10_000):
            try:
                (self.folder / record.id).mkdir()
                break
            except FileExistsError:
                record.id = f"{base}-{number}"
        record.host, record.process = socket.gethostname(), os.getpid()
        record.created_at = now()
        run = Run(self.folder / record.id, record)
        if network_source is not None:
            write_text(run.folder / NETWORK_FILE, network_source)
        run.save()
        return run

    def all(self) -> list[Run]:
        """Return every run, oldest first. Raises PipelineError for a damaged record."""
        runs = [_read(path) for path in sorted(self.folder.glob("*/run.json"))]
        return sorted(runs, key=lambda run: (run.record.created_at, run.id))

    def find(self, prefix: str) -> Run:
        """Return the one run whose id is, or else begins with, `prefix`. Raises PipelineError."""
        prefix = Path(prefix).name  # runs/<id>/, as a shell completes it, is accepted too
        if (self.folder / prefix / "run.json").is_file():
            return _read(self.folder / prefix / "run.json")
        matches = [path.parent.name for path in sorted(self.folder.glob("*/run.json"))]
        matches = [name for name in matches if name.startswith(prefix)]
        if len(matches) == 1:
            return _read(self.folder / matches[0] / "run.json")
        matched = f"it fits {', '.join(matches)}" if matches else "no run begins with it"
        raise PipelineError(
            f"RUN is {prefix!r}: {matched}; give an id, or a unique beginning of one (make runs "
            "lists them)"
        )

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
