"""A command is killed while it submits. The same command again submits once in all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.commands import REPOSITORY, wait_until
from tests.kaggle.bench import Bench

MAKEFILE = "submit:\n\t@$(PYTHON) -m tests.kaggle.sender $(CSV) t-1\n"


def start(bench: Bench) -> "subprocess.Popen[bytes]":
    """Start make, which starts the sender. Both print to a file, which no kill closes."""
    (bench.home / "Makefile").write_text(MAKEFILE)
    own = {"PYTHON": sys.executable, "CSV": str(bench.csv), "PYTHONPATH": str(REPOSITORY)}
    with (bench.home / "printed").open("a") as file:
        return subprocess.Popen(
            ["make"], cwd=bench.home, env={**os.environ, **own}, stdout=file, stderr=file
        )


def processes(csv: Path) -> list[psutil.Process]:
    """Return the processes that have the CSV on their command line."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(csv) in word for word in process.info["cmdline"] or [])
    ]


@pytest.mark.parametrize(
    ("request_name", "victim", "number"),
    [
        ("blob", "make", signal.SIGKILL),
        ("blob", "make", signal.SIGTERM),
        ("blob", "process", signal.SIGKILL),
        ("blob", "process", signal.SIGTERM),
        ("CreateSubmission", "process", signal.SIGKILL),
    ],
)
def test_a_killed_upload_is_submitted_once(
    bench: Bench, request_name: str, victim: str, number: signal.Signals
) -> None:
    bench.server.faults.slow_uploads = 6.0 if request_name == "blob" else 0.0
    bench.server.faults.lists_before_shown = 3
    with start(bench) as first:
        wait_until(lambda: bench.server.count(request_name), f"no {request_name}")
        (process,) = psutil.Process(first.pid).children()
        (first if victim == "make" else process).send_signal(number)
    bench.server.faults.slow_uploads = 0.0
    with start(bench) as second:
        assert second.wait(timeout=60) == 0, (bench.home / "printed").read_text()
    assert bench.server.count("CreateSubmission") == len(bench.server.submissions) == 1
    wait_until(lambda: not processes(bench.csv), "a process lives on")


def test_the_kaggle_command_ends_with_its_parent(bench: Bench) -> None:
    bench.server.faults.slow_uploads = 20.0
    with start(bench) as first:
        wait_until(lambda: bench.server.count("blob"), "no blob")
        (process,) = psutil.Process(first.pid).children()
        process.kill()
    wait_until(lambda: not processes(bench.csv), "the upload goes on", seconds=10)
