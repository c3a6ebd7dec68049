"""Kill -9 at random moments, in a small form; `python -m tests.bench.kills` is the long one."""

import random
from pathlib import Path

import pytest

from tests.bench.kills import Subject, differences, write_digits


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_as_one_that_never_was(tmp_path: Path) -> None:
    data = write_digits(tmp_path / "digits")
    whole, killed = (Subject(tmp_path / name, data, epochs=12) for name in ("whole", "killed"))
    whole.finish()
    chance = random.Random(1)
    assert killed.kill(chance, longest=0.5, after="epoch  2/12")
    assert killed.kill(chance, longest=0.5, after="epoch  4/12")
    printed = killed.finish()
    assert "member 1/2  epoch  1/12" not in printed, "the first epoch was saved, and trained again"
    assert differences(whole.root, killed.root) == []
    (history,) = (killed.root / "runs").glob("*/members/0/history.csv")
    history.write_text(history.read_text().replace("0.004", "0.005"))
    assert differences(whole.root, killed.root) == [
        f"{history.relative_to(killed.root)} differs"
    ], "the comparison itself must see a difference"
