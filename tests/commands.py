"""Starts the command line in a process group of its own, and reads, kills or waits for it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]


def plain_environment() -> dict[str, str]:
    """Return this process's variables without those that tests/conftest.py sets for TensorFlow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


def variables_of_targets() -> dict[str, set[str]]:
    """Return the variables that each target of the Makefile says it takes. All take PYTHON too."""
    makefile = (REPOSITORY / "Makefile").read_text()
    (shared,) = re.findall(r"^RECIPE_STAGE := (.*)$", makefile, re.MULTILINE)
    lists = re.findall(r"^TAKES_([a-z-]+) :=(.*)$", makefile, re.MULTILINE)
    (trackers,) = re.findall(r"^TRACKERS := (.*)$", makefile, re.MULTILINE)
    return {
        target: set(
            names.replace("$(RECIPE_STAGE)", shared).replace("$(TRACKERS)", trackers).split()
        )
        for target, names in lists
    }


def wait_until(condition: Callable[[], object], failure: str, seconds: float = 20) -> None:
    """Wait until `condition` holds. After `seconds`, raise AssertionError with `failure`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.02)


class Command:
    """A running `python -m pipeline` in the folder `root`."""

    def __init__(self, root: Path, process: subprocess.Popen[str]) -> None:
        self.root = root
        self.process = process
        self.printed = ""

    def read_until(self, pattern: str) -> str:
        """Read stdout up to the first line that matches `pattern`, and return that line."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed += line
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no line matches {pattern!r}: {self.printed}{self.errors()}")

    def finish(self) -> str:
        """Wait until the command ends without an error. Return all that it printed on stdout."""
        output, errors = self.process.communicate(timeout=400)
        assert self.process.returncode == 0, errors
        self.printed += output
        return self.printed

    def errors(self) -> str:
        """Return what the command, which must have ended, printed on stderr."""
        assert self.process.stderr
        return self.process.stderr.read()

    def record(self) -> dict[str, Any]:
        """Return the present content of the only run.json in `root`."""
        (path,) = self.root.glob("runs/*/run.json")
        record: dict[str, Any] = json.loads(path.read_text())
        return record


@contextmanager
def command(root: Path, *arguments: str, **variables: str) -> Iterator[Command]:
    """Start the command line in `root`. Kill its process group if it still runs at the end."""
    root.mkdir(parents=True, exist_ok=True)
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
