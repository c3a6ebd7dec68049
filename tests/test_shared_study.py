"""A study that several commands share, also on hosts that do not see each other's locks."""

import fcntl
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.runs import RESUME_FILE, claim
from pipeline.search.record import SearchRecord
from pipeline.search.study import DATABASE, storage_errors
from pipeline.search.trial import Trial, is_alive
from pipeline.search.trials import RunningTrial
from pipeline.stages.search import Search
from pipeline.training.events import Failed
from tests.studies import opened


def test_another_command_shares_a_study_and_continues_what_a_dead_one_left(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    mine, theirs = first.next_trial(), second.next_trial()
    assert (mine.number, theirs.number) == (0, 1)
    mine.end_epoch(1, 0.6, 2.0)
    mine.release()  # as the end of its process does
    assert first.others_at_work()
    again = second.next_trial()
    assert (again.number, again.settings, again.folder) == (0, mine.settings, mine.folder)
    again.complete(0.7)
    theirs.complete(0.8)
    assert not first.others_at_work()
    assert [(one.number, one.state, one.value) for one in first.records()] == [
        (0, "completed", 0.7),
        (1, "completed", 0.8),
    ]


def test_a_left_trial_is_taken_when_no_new_one_may_begin(tmp_path: Path) -> None:
    study = opened(tmp_path)
    assert study.left_trial() is None
    study.next_trial().release()
    trial = study.left_trial()
    assert trial is not None
    assert trial.number == 0
    assert study.left_trial() is None
    assert study.has_running_trials()
    trial.complete(0.5)
    assert not study.has_running_trials()


def test_a_trial_that_ends_while_another_command_looks_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    mine = first.next_trial()

    def is_alive_after_its_end(*trial_and_folder: Any) -> bool:
        mine.complete(0.7)
        return is_alive(*trial_and_folder)

    monkeypatch.setattr("pipeline.search.study.is_alive", is_alive_after_its_end)
    assert second.next_trial().number == 1


def taken_over(trial: Trial, process: int = 7) -> None:
    """Have another host, which does not see the lock, claim a trial whose process sleeps."""
    (trial.folder / claim.FILE).write_text(json.dumps({"host": "elsewhere", "process": process}))


@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_wakes_up_leaves_its_trial_to_the_host_that_has_it_now(
    tmp_path: Path, number: int
) -> None:
    study = opened(tmp_path)
    trials = [study.next_trial() for _ in range(number + 1)]
    trial = trials[-1]
    assert not trial.end_epoch(1, 0.5, 1.0)
    before = study._study.trials[number]
    resume = trial.folder / RESUME_FILE
    resume.touch()
    taken_over(trial)
    assert trial.end_epoch(2, 0.6, 2.0)
    (trial.folder / claim.FILE).write_text("")  # the other host has left it again
    running = RunningTrial(trial, recipe.load("quick"), pruned=True)
    running.end(Failed(number, "it was asked to stop"))
    assert study._study.trials[number] == before
    assert resume.exists()
    assert study.next_trial().number == number


def test_a_trial_that_another_host_takes_at_this_moment_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(tmp_path)
    trial = study.next_trial()
    trial.release()
    taken_over(trial)
    monkeypatch.setattr("pipeline.search.study.is_alive", lambda *_: False)
    assert study.next_trial().number == 1


def test_time_in_which_a_process_stood_still_does_not_count(tmp_path: Path) -> None:
    study = opened(tmp_path)
    trial = study.next_trial()
    for moment in (0, 1):
        trial._spells[0][moment] -= 3600
    trial._claim._awake_at -= 3600
    assert not trial.end_epoch(1, 0.5, 1.0)
    trial.complete(0.5)
    assert 0 <= study.minutes() < 0.1


def test_a_study_that_lost_its_trials_is_not_begun_anew_in_silence(tmp_path: Path) -> None:
    search = object.__new__(Search)
    search.folder, search.study = tmp_path, opened(tmp_path)
    search.study.next_trial().complete(0.5)
    trials = search.study.records()
    search.record = SearchRecord(id="quick-1", recipe_name="quick", rows=90, trials=2 * trials)
    search.record.save(tmp_path)
    with pytest.raises(PipelineError, match=r"study\.db has 1 of the 2 trials in search\.json;"):
        search._update()


@pytest.mark.parametrize("problem", ["disk I/O error", "database or disk is full"])
def test_a_full_disk_is_no_reason_to_move_a_study_away(tmp_path: Path, problem: str) -> None:
    error = optuna.exceptions.StorageInternalError()
    error.__cause__ = sqlite3.OperationalError(problem)
    with pytest.raises(PipelineError, match="make room on the disk") as raised:  # noqa: SIM117
        with storage_errors(tmp_path):
            raise error
    assert "move" not in str(raised.value)


def test_a_trial_that_ends_elsewhere_while_a_process_notes_something_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(tmp_path)
    ends: list[Callable[[Trial], object]]
    ends = [lambda trial: trial.end_epoch(1, 0.5, 1.0), lambda trial: trial.complete(0.5)]
    for end in ends:
        trial = study.next_trial()

        def is_lost_after_this(trial: Trial = trial) -> bool:
            study._study.tell(trial.number, 0.9)
            return False

        monkeypatch.setattr(trial, "is_lost", is_lost_after_this)
        end(trial)
        trial.release()
    assert [(one.state, one.value) for one in study.records()] == [("completed", 0.9)] * 2
    assert study.next_trial().number == 2


def test_a_study_that_another_process_keeps_locked_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.search.study.PATIENCE", 0.1)
    study = opened(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(PipelineError) as raised, storage_errors(tmp_path):
            study.next_trial()
    found = str(raised.value)
    assert "study.db cannot be used (database is locked); another process has kept it" in found
    assert "move" not in found
    with (tmp_path / ".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with (
            pytest.raises(PipelineError, match=r"study\.db is in use; another process has kept"),
            storage_errors(tmp_path),
        ):
            study.next_trial()


def test_a_search_whose_time_is_over_waits_for_the_trial_of_another_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = opened(tmp_path).next_trial()
    said: list[str] = []

    def report(line: str) -> None:
        said.append(line)
        if line.startswith("waiting"):
            theirs.complete(0.5)

    search = object.__new__(Search)
    search._context = SimpleNamespace(report=report)  # type: ignore[assignment]
    search._plan = SimpleNamespace(minutes=0)  # type: ignore[assignment]
    search.study = opened(tmp_path)
    search.record = SearchRecord(id="quick-1", recipe_name="quick", rows=90, space={"a": "b"})
    states: list[str] = []

    def measure() -> None:
        states.extend(one.state for one in search.study.records())

    def update() -> None:
        search.record.trials = search.study.records()

    for name, stub in (("_measure", measure), ("_train_trials", lambda: None), ("_update", update)):
        monkeypatch.setattr(search, name, stub)
    monkeypatch.setattr(search, "_measuring_minutes", lambda: 0.0)
    search.run()
    assert said[-1] == "waiting for the trials of another command"
    assert states == ["completed"]
