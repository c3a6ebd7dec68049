"""What is printed while members train: whose epoch it was, and how much time is left."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.common import progress
from pipeline.common.progress import RunProgress
from tests.commands import plain_environment

METRICS = {
    "loss": 0.1,
    "accuracy": 0.97,
    "val_loss": 0.05,
    "val_accuracy": 0.98765,
    "learning_rate": 0.001,
}


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def seconds_left(line: str) -> int:
    match = re.search(r"at most (\d+) s left", line)
    assert match, line
    return int(match[1])


def test_members_side_by_side_share_one_display(clock: Clock) -> None:
    lines: list[str] = []
    with RunProgress(lines.append, 3, 4, {0: 0, 1: 0, 2: 2}) as shown:
        shown.begin(0, 0, 10)
        shown.begin(2, 2, 10)
        clock.now += 4
        shown.step(0, 1, 5)
        clock.now += 4
        shown.end_epoch(0, 1, METRICS)
        assert lines[-1].startswith("member 1/3  epoch  1/4  loss 0.1000  accuracy 0.9700")
        assert "val_accuracy 0.98765  learning rate 0.001  8.0 s per epoch" in lines[-1]
        # One epoch took 8 s, and 3 + 4 + 2 are left.
        assert seconds_left(lines[-1]) == 72
        shown.end_epoch(2, 3, METRICS)
        assert lines[-1].startswith("member 3/3  epoch  3/4")
        # Now two epochs took 8 s, which is 4 s each, and 8 are left.
        assert seconds_left(lines[-1]) == 32
        # The third member stopped early. It has no epoch left.
        shown.end(2, finished=True)
        shown.begin(1, 0, 10)
        clock.now += 10
        shown.end_epoch(0, 2, METRICS)
        assert seconds_left(lines[-1]) == 36


def test_lost_steps_are_still_to_be_trained(clock: Clock) -> None:
    lines: list[str] = []
    with RunProgress(lines.append, 2, 4, {0: 0, 1: 3}) as shown:
        shown.begin(0, 0, 10)
        clock.now += 10
        shown.end_epoch(0, 1, METRICS)
        shown.step(0, 2, 5)
        shown.end(0)
        shown.begin(0, 1, 10)
        clock.now += 10
        shown.end_epoch(0, 2, METRICS)
        # 2.5 epochs took 20 s. Half an epoch of them was lost, so 2 + 1 are left.
        assert seconds_left(lines[-1]) == 24


def test_the_only_member_has_no_number(clock: Clock) -> None:
    lines: list[str] = []
    with RunProgress(lines.append, 1, 20, {0: 0}) as shown:
        shown.begin(0, 0, 5)
        clock.now += 60
        shown.end_epoch(0, 1, METRICS)
    assert lines[-1].startswith("epoch  1/20  loss")
    assert lines[-1].endswith("60.0 s per epoch, at most 19 min left")


class Terminal:
    """A pseudo-terminal of 80 columns."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self._ours, False)
        self._shown = b""

    def lines(self) -> list[str]:
        """Return all lines shown so far, those of bars each time that they were drawn."""
        try:
            while part := os.read(self._ours, 65_536):
                self._shown += part
        except OSError:  # nothing more, or the end
            pass
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode(errors="ignore"))
        return [line.rstrip() for line in re.split(r"[\r\n]+", text)]

    def wait_for(self, pattern: str) -> None:
        """Wait until a line of this pattern has been shown."""
        deadline = time.monotonic() + 10
        while not any(re.fullmatch(pattern, line) for line in self.lines()):
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.lines()}"
            time.sleep(0.02)


@contextmanager
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    for handle in (opened._ours, opened.theirs):
        os.close(handle)


BAR = "[━╸╺]{30}"


def test_a_bar_shows_the_time_left_alone_and_when_it_validates(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal() as shown, open(shown.theirs, "w", closefd=False) as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        with RunProgress(lambda line: None, 12, 6, {0: 0, 10: 0}) as bars:
            bars.begin(0, 0, 500)
            bars.begin(10, 0, 500)
            clock.now += 60  # the first step waits for the network to be compiled
            bars.step(0, 1, 5)
            clock.now += 10
            bars.step(0, 1, 105)
            # 100 of 500 steps took 10 s. Of 12 epochs, 11.79 are left, each of 50 s.
            shown.wait_for(rf"member 1/12 epoch 1 +{BAR} +105/500 40 s left")
            shown.wait_for(rf"run at most +{BAR} +0/12 10 min left")
            bars.validate(0, 1)
            shown.wait_for(rf"member 1/12 epoch 1 +{BAR} validating")
            bars.end_epoch(0, 1, METRICS)
            bars.step(0, 2, 250)
            # The time between two epochs counts: 745 steps of this member took 10 s.
            shown.wait_for(rf"member 1/12 epoch 2 +{BAR} +250/500 3 s left")
        assert not [line for line in shown.lines() if len(line) > 80 or ":" in line]


def test_members_side_by_side_say_that_they_validate(small_digits: Path, tmp_path: Path) -> None:
    arguments = ["train", "--source", str(small_digits), "--recipe", "mlp_50", "--executor"]
    arguments += ["processes", "--set", "training.epochs=2 members.seeds=2"]
    with terminal() as shown:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            cwd=tmp_path,
            env=plain_environment(),
            stdout=subprocess.DEVNULL,
            stderr=shown.theirs,
        )
        while process.poll() is None:  # a terminal that nobody reads holds the process up
            shown.lines()
            time.sleep(0.02)
        assert process.returncode == 0
        for member in (1, 2):
            shown.wait_for(rf"member {member}/2 epoch 1 +{BAR} validating")
