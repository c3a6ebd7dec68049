"""The command line at work in a process group of its own, watched, killed and waited for."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]


def plain_environment() -> dict[str, str]:
    """Return this process's variables, but for those that fix TensorFlow's numbers in tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


class Command:
    """`python -m pipeline` at work in the folder `root`."""

    def __init__(self, root: Path, process: subprocess.Popen[str]) -> None:
        self.root = root
        self.process = process
        self.printed = ""

    def until(self, pattern: str) -> str:
        """Read lines up to one that fits `pattern`, and return it."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed += line
            if re.search(pattern, line):
                return line
        raise AssertionError(f"{pattern!r} was not printed, but {self.printed}{self.errors()}")

    def finish(self) -> str:
        """Wait for the end and return all that was printed on stdout."""
        out, errors = self.process.communicate(timeout=400)
        assert self.process.returncode == 0, errors
        self.printed += out
        return self.printed

    def errors(self) -> str:
        """Return what was printed on stderr, when the process has ended."""
        assert self.process.stderr
        return self.process.stderr.read()

    def record(self) -> dict[str, Any]:
        """Return the run's record as it is now."""
        (path,) = self.root.glob("runs/*/run.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@contextmanager
def command(root: Path, *arguments: str, **variables: str) -> Iterator[Command]:
    """Start the command line in `root`; what is left of it at the end is killed."""
    root.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=root,
        env={**plain_environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield Command(root, process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
