"""How a command ends that is told to end at an awkward moment."""

import signal
import subprocess
import sys

import pytest

from tests.commands import plain_environment

IN_A_DESTRUCTOR = """
import os, sys, time
from pipeline.common.errors import exit_codes

class Slow:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0.01)

with exit_codes():
    slow = Slow()
    del slow
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_a_signal_is_not_lost_in_a_destructor(number: int, code: int, line: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_DESTRUCTOR, str(int(number))],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (ended.returncode, ended.stderr) == (code, f"{line}\n")
