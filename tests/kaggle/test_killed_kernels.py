"""`make submit EXECUTOR=kaggle`, killed at random moments: one push, and the run of `serial`."""

import json
import os
import random
import signal
import subprocess
import sys
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
DETERMINISTIC = ["--set", "training.deterministic=true training.epochs=14"]


def only_run(root: Path) -> Run:
    (run,) = RunStore(root / "runs").all()
    return run


@pytest.mark.slow
def test_twenty_kills_cost_nothing(practice: PracticeSource, tmp_path: Path) -> None:
    root, home, hidden = tmp_path / "root", tmp_path / "home", tmp_path / "hidden.csv"
    for folder in (root, home):
        folder.mkdir()
    files = practice.fetch()
    submission.write(hidden, hidden_of(files.train.parent).labels)
    draw = random.Random(17)
    with StandIn(train_csv=files.train, test_csv=files.test, hidden_labels=hidden) as server:
        server.kernels = Kernels(tmp_path / "kernels", files.train.parent)
        environment = {**server.environment(home), "PYTHONPATH": str(REPOSITORY)}

        def start(executor: str) -> "subprocess.Popen[str]":
            return subprocess.Popen(
                [*SUBMIT, *DETERMINISTIC, "--json", "--executor", executor],
                cwd=root,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

        def was_killed(seconds: tuple[float, float]) -> bool:
            with start("kaggle") as process:
                try:
                    process.communicate(timeout=draw.uniform(*seconds))
                except subprocess.TimeoutExpired:
                    kill = draw.choice([os.kill, os.killpg])
                    kill(process.pid, draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
                    return True
                finally:
                    process.communicate()
            return False

        server.kernels.faults.never_ends = True
        assert all(was_killed(seconds) for seconds in KILLS), "nobody waited for the kernel"
        server.kernels.faults.never_ends = False
        for seconds in LATE_KILLS:
            was_killed(seconds)
        with start("kaggle") as process:
            printed, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert float(json.loads(printed)["upload"]["public_score"]) > 0.95
        assert len(server.kernels.pushes) == server.count("CreateSubmission") == 1
        there = only_run(root)
        there.folder.rename(tmp_path / "there")
        (root / "submissions" / "ledger.csv").unlink()
        with start("serial") as process:
            printed, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
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
