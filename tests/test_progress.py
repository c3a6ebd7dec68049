"""What a person sees of many members: whose epoch it is, and an honest time left."""

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
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def left(line: str) -> int:
    found = re.search(r"at most (\d+) s left", line)
    assert found, line
    return int(found[1])


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
        # One epoch in 8 s, and 3 + 4 + 2 to come.
        assert left(lines[-1]) == 72
        shown.end_epoch(2, 3, METRICS)
        assert lines[-1].startswith("member 3/3  epoch  3/4")
        # Two epochs in those 8 s now: 4 s each for the 8 to come.
        assert left(lines[-1]) == 32
        # The third member stopped early: its last epoch will not come.
        shown.end(2, finished=True)
        shown.begin(1, 0, 10)
        clock.now += 10
        shown.end_epoch(0, 2, METRICS)
        assert left(lines[-1]) == 36


def test_what_was_lost_is_still_to_come(clock: Clock) -> None:
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
        # 2.5 epochs in 20 s, of which half a one was lost; 2 + 1 to come.
        assert left(lines[-1]) == 24


def test_the_only_member_has_no_number(clock: Clock) -> None:
    lines: list[str] = []
    with RunProgress(lines.append, 1, 20, {0: 0}) as shown:
        shown.begin(0, 0, 5)
        clock.now += 60
        shown.end_epoch(0, 1, METRICS)
    assert lines[-1].startswith("epoch  1/20  loss")
    assert lines[-1].endswith("60.0 s per epoch, at most 19 min left")
