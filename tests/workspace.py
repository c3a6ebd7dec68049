"""A folder to run the commands in, as a person without credentials does."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Workspace:
    """A folder to run commands in, with a home folder of its own and without credentials."""

    folder: Path
    environment: dict[str, str]

    def run(
        self, *arguments: str, program: tuple[str, ...] = ("-m", "pipeline"), **extra: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def only_run(self, pattern: str) -> Path:
        (path,) = (self.folder / "runs").glob(pattern)
        return path
