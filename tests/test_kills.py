"""Kills with SIGKILL at random moments, in a small form of `python -m tests.bench.kills`."""

import random
from pathlib import Path

import pytest

from tests.bench.kills import Subject, differences


@pytest.mark.slow
def test_a_killed_and_continued_run_ends_as_one_that_was_never_stopped(
    small_digits: Path, tmp_path: Path
) -> None:
    whole, killed = (
        Subject(tmp_path / name, small_digits, epochs=12) for name in ("whole", "killed")
    )
    whole.finish()
    generator = random.Random(1)
    assert killed.kill(generator, longest=0.5, after="epoch  2/12")
    assert killed.kill(generator, longest=0.5, after="epoch  4/12")
    printed = killed.finish()
    assert "member 1/2  epoch  1/12" not in printed, "a saved epoch was trained again"
    assert differences(whole.root, killed.root) == []
    (history,) = (killed.root / "runs").glob("*/members/0/history.csv")
    history.write_text(history.read_text().replace("0.004", "0.005"))
    assert differences(whole.root, killed.root) == [
        f"{history.relative_to(killed.root)} differs"
    ], "the comparison itself must notice a difference"
