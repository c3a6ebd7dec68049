"""Torture in a small form (`make torture` is the full one), and proof that it notices faults."""

import re
from pathlib import Path

import pytest
from hypothesis import strategies as st

from pipeline.common.errors import PipelineError
from tests.kaggle_state import TOKEN
from tests.torture import kills
from tests.torture.__main__ import SUBJECTS, main
from tests.torture.verdict import DoubleError, LostError, Verdict, examine, result

TESTS = Path(__file__).parent
SMALL = {
    "csvs": 60,
    "zips": 200,
    "runs": 12,
    "ledgers": 60,
    "answers": 60,
    "recipes": 100,
}
"""How much of each subject is tried in `make test`, of runs in `make test-slow`."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "runs")) for name in SMALL]
)
def test_nothing_is_lost_leaked_or_submitted_twice(name: str) -> None:
    torture, _ = SUBJECTS[name]
    verdict = torture(SMALL[name], 1)
    assert not verdict.reports, "\n".join(verdict.reports)
    assert verdict.tried >= SMALL[name]


@pytest.mark.slow
def test_kills_in_every_stage_lose_nothing() -> None:
    verdict = kills.torture(10, 1)
    assert not verdict.reports, "\n".join(verdict.reports)


def test_every_test_in_the_table_of_faults_exists() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", (TESTS / "FAULTS.md").read_text(), re.MULTILINE)
    named = [pair for row in rows for pair in re.findall(r"`([\w/]+\.py)` ([\w, ]+\w)", row)]
    assert len(named) > 30
    for file, names in named:
        text = (TESTS / file).read_text()
        assert all(f"def test_{name}(" in text for name in names.split(", ")), (file, names)


def refuse(message: str) -> None:
    """Raise PipelineError, caught as torture catches it."""

    def action() -> None:
        raise PipelineError(message)

    result(action)


def fail(number: int) -> None:
    """Fail in another way for each number from 7 on."""
    if number == 7:
        raise LostError("gone")
    if number == 8:
        raise DoubleError("twice")
    if number == 9:
        raise KeyError("not a line")
    if number == 10:
        refuse(f"the token is {TOKEN}")
    if number == 11:
        refuse("two\nlines")
    if number == 12:
        refuse("x" * 10_000)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (7, "lost"),
        (8, "double"),
        (9, "tracebacks"),
        (10, "leaked"),
        (11, "leaked"),
        (12, "tracebacks"),
    ],
)
def test_every_fault_is_counted_and_told_with_its_input(number: int, kind: str) -> None:
    verdict = examine(st.integers(0, number), lambda given: fail(given * (given == number)), 200, 0)
    assert verdict.faults == {kind: 1}
    assert f"={number}," in verdict.reports[0]
    assert f"1 {kind}" in str(verdict)
    assert "x" * 5_000 not in verdict.reports[0]


def test_the_seed_decides_the_inputs() -> None:
    def inputs(number: int) -> list[int]:
        seen: list[int] = []
        examine(st.integers(), seen.append, 50, number)
        return seen

    assert inputs(1) == inputs(1) != inputs(2)


def test_the_command_takes_variables_and_ends_with_the_sum(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Verdict(4)
    found.note(LostError("gone"), "an input")
    monkeypatch.setitem(SUBJECTS, "zips", (lambda count, number: Verdict(count), 9))
    monkeypatch.setitem(SUBJECTS, "csvs", (lambda count, number: found, 9))
    monkeypatch.setenv("SEED", "5")
    assert main(["--zips", "3"]) == 0
    assert capsys.readouterr().out.endswith("\n3 tried, 0 lost, 0 leaked, 0 double, 0 tracebacks\n")
    assert main(["--zips", "3", "--csvs", "4"]) == 1
    printed = capsys.readouterr().out
    assert "--seed 5 --csvs 4: lost: an input" in printed
    assert printed.endswith("\n7 tried, 1 lost, 0 leaked, 0 double, 0 tracebacks\n")
