"""`make submit EXECUTOR=kaggle`, killed at random moments: one push, and the run of `serial`."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.competitions import submission
from pipeline.competitions.practice.source import PracticeSource
from pipeline.runs import Run, RunStore
from tests.commands import REPOSITORY
from tests.kaggle_kernels import Kernels
from tests.kaggle_stand_in import StandIn
from tests.practice.hidden import hidden_of

KILLS = [(4, 9)] * 6 + [(0.5, 4)] * 9
"""How long a command lives that is killed, in seconds, while the kernel is said to run.

The push comes after some seconds. After it, there is more to kill.
"""
LATE_KILLS = [(1, 8)] * 5
"""The same for commands that may find a kernel that has ended: they fetch, score and upload."""
SUBMIT = [sys.executable, "-m", "pipeline", "submit", "--source", "kaggle", "--recipe", "quick"]
SUBMIT += ["--set", "training.deterministic=true training.epochs=4", "--json", "--executor"]
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def server(practice: PracticeSource, tmp_path: Path) -> Iterator[StandIn]:
    """A stand-in for Kaggle with kernels and all digits of the practice competition."""
    files, hidden = practice.fetch(), tmp_path / "hidden.csv"
    submission.write(hidden, hidden_of(files.train.parent).labels)
    with StandIn(train_csv=files.train, test_csv=files.test, hidden_labels=hidden) as server:
        server.kernels = Kernels(tmp_path / "kernels", files.train.parent)
        yield server


@pytest.fixture
def start(server: StandIn, tmp_path: Path) -> Start:
    """Starts `submit` with an executor, in a group of its own."""
    for name in ("root", "home"):
        (tmp_path / name).mkdir()

    def start(executor: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*SUBMIT, executor],
            cwd=tmp_path / "root",
            env={**server.environment(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def was_killed(process: "subprocess.Popen[str]", seconds: float, draw: random.Random) -> bool:
    """Kill a process, or its group, unless it ends within so many seconds."""
    with process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill = draw.choice([os.kill, os.killpg])
            kill(process.pid, draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            return True
        finally:
            process.communicate()
    return False


def finish(process: "subprocess.Popen[str]") -> str:
    """Return what a process prints that must succeed."""
    with process:
        printed, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return printed


def only_run(root: Path) -> Run:
    (run,) = RunStore(root / "runs").all()
    return run


@pytest.mark.slow
def test_twenty_kills_cost_nothing(server: StandIn, start: Start, tmp_path: Path) -> None:
    root, draw, kernels = tmp_path / "root", random.Random(17), server.kernels
    assert kernels
    kernels.faults.never_ends = True
    for seconds in KILLS:
        assert was_killed(start("kaggle"), draw.uniform(*seconds), draw), "it did not wait"
    kernels.faults.never_ends = False
    for seconds in LATE_KILLS:
        was_killed(start("kaggle"), draw.uniform(*seconds), draw)
    printed = finish(start("kaggle"))
    assert float(json.loads(printed)["upload"]["public_score"]) > 0.95
    assert len(kernels.pushes) == server.count("CreateSubmission") == 1
    there = only_run(root)
    there.folder.rename(tmp_path / "there")
    (root / "submissions" / "ledger.csv").unlink()
    finish(start("serial"))
    here = only_run(root)
    there.folder = tmp_path / "there"
    assert (there.record.id, there.record.versions) == (here.record.id, here.record.versions)
    for name in ("validation", "test"):
        one, other = there.load_arrays(name), here.load_arrays(name)
        assert all(np.array_equal(one[key], other[key]) for key in other)
    first, second = (
        pd.read_csv(run.member_folder(0) / "history.csv").drop(columns="seconds")
        for run in (there, here)
    )
    pd.testing.assert_frame_equal(first, second)
