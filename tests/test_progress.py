"""What is printed while members train: whose epoch it was, and how much time is left."""

import re

import pytest

from pipeline.common import progress
from pipeline.common.progress import RunProgress

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
