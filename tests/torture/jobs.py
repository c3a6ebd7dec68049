"""A stage under make in a folder of its own, with processes that can be found and killed."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.commands import plain_environment

STAGES = "data split train ensemble submission submit"
MAKEFILE = f".PHONY: {STAGES}\n{STAGES}:\n\t@$(PYTHON) -m pipeline $@\n"
"""Starts a stage as the repository's Makefile does."""
MARK = "TORTURE_PLACE"
VICTIMS = ("process", "group", "parent", "child")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@dataclass
class Place:
    """A folder to run stages in. Its processes carry its path in the variable `MARK`.

    `variables` are those of the stages. `printed` are the files of what each command printed.
    """

    root: Path
    variables: dict[str, str]
    printed: list[Path] = field(default_factory=list)

    @property
    def temporary(self) -> Path:
        """The folder for temporary files, which must be empty in the end."""
        return self.root / "tmp"

    def start(self, stage: str) -> "Job":
        """Start a stage."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        (self.root / "Makefile").write_text(MAKEFILE)
        own = {"TMPDIR": str(self.temporary), MARK: str(self.root), "PYTHON": sys.executable}
        output = self.root / f"printed-{len(self.printed)}.txt"
        self.printed.append(output)
        with output.open("w") as file:
            process = subprocess.Popen(
                ["make", "--silent", stage],
                cwd=self.root,
                env={**plain_environment(), **self.variables, **own},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Job(process, output)

    def finish(self, stage: str) -> tuple[int, str]:
        """Run a stage to its end. Return make's exit code and what was printed."""
        job = self.start(stage)
        return job.process.wait(timeout=300), job.text()

    def processes(self) -> list[psutil.Process]:
        """Return the processes that the stages have started and that still live."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARK) == str(self.root)
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@dataclass
class Job:
    """A running make, and the file to which all print."""

    process: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        """Return what was printed so far."""
        return self.output.read_text(errors="replace")

    def wait(self, marker: str, seconds: float) -> bool:
        """Wait for a line that matches `marker`, then `seconds`. Return whether make still runs."""
        while self.process.poll() is None and not re.search(marker, self.text()):
            time.sleep(0.02)
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def kill(self, victim: str, number: signal.Signals, generator: random.Random) -> str:
        """Send a signal to one of `VICTIMS`. Return what it was, empty where there is none.

        For a child, it waits until the stage has one.
        """
        make = self.process.pid
        try:
            if victim == "parent":
                os.kill(make, number)
                return "make"
            if victim == "group":
                os.killpg(make, number)
                return "the group"
            while not (stages := psutil.Process(make).children()):
                time.sleep(0.02)
            if victim == "process":
                stages[0].send_signal(number)
                return "the stage"
            while not (children := stages[0].children(recursive=True)):
                time.sleep(0.02)
            child = generator.choice(children)
            words = " ".join(child.cmdline())
            child.send_signal(number)
            return f"its child {re.sub('.*-m ', '', words)[:60]!r}"
        except (psutil.Error, ProcessLookupError):
            return ""  # it ended just now
