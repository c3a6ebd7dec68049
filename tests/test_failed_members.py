"""A member that fails is tried again, then marked as failed, and the others are still trained."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import recipe
from pipeline.common.errors import DivergedError, LostRunError, PipelineError
from pipeline.common.progress import Report, ignore
from pipeline.executors import serial
from pipeline.recipe import Recipe
from pipeline.runs import Member, Run, RunStore, describe
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.request import Request
from pipeline.stages.train import train
from pipeline.training import loop
from pipeline.training.events import EpochEnded, Event

FOLDED = "members.folds=3 training.epochs=2 members.required={required}"


def context(root: Path, data: Path, settings: str, report: Report = ignore) -> Context:
    request = Request(recipe=recipe.load("mlp_50", settings), source=str(data), executor="serial")
    return Context(root, request, report)


def fail_second_member(patch: pytest.MonkeyPatch, error: Exception, times: int) -> list[Member]:
    """Raise `error` after an epoch of the second member, in the first `times` of its trainings.

    Returns a list to which every member's record is added when its training begins.
    """
    original: Callable[..., None] = loop.train_member
    begun: list[Member] = []

    def fail_sometimes(settings: Recipe, member: Member, *rows: Any, **others: Any) -> None:
        begun.append(member)
        on_event = others.pop("on_event")
        fails = member.index == 1 and sum(member.index == 1 for member in begun) <= times

        def fail(event: Event) -> None:
            on_event(event)
            if fails and isinstance(event, EpochEnded):
                raise error

        original(settings, member, *rows, on_event=fail, **others)

    patch.setattr(serial, "train_member", fail_sometimes)
    return begun


def test_a_member_that_raises_is_tried_again_from_its_last_epoch(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = fail_second_member(monkeypatch, RuntimeError("the device\nis gone"), times=1)
    lines: list[str] = []
    run = train(context(tmp_path, small_digits, FOLDED.format(required=3), lines.append))
    assert [member.index for member in begun] == [0, 1, 2, 1]
    assert begun[-1].epochs == 1
    assert [member.status for member in run.record.members] == ["done"] * 3
    assert [member.reason for member in run.record.members] == [""] * 3
    trace = run.member_folder(1) / "error.txt"
    failure = f"member 2/3 failed: RuntimeError: the device (traceback: {trace})"
    assert failure in lines
    assert "is gone" in trace.read_text()
    assert "member 2/3, fold 2 of 3: continuing after epoch 1" in lines


def test_a_member_that_diverges_begins_again_with_other_weights(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = fail_second_member(monkeypatch, DivergedError("loss became nan"), times=1)
    run = train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert (begun[-1].index, begun[-1].epochs, begun[-1].attempt) == (1, 0, 1)
    undisturbed = train(context(tmp_path / "other", small_digits, FOLDED.format(required=3)))
    assert [member.attempt for member in run.record.members] == [0, 1, 0]
    same = [weights(run, index) == weights(undisturbed, index) for index in range(3)]
    assert same == [True, False, True]


def weights(run: Run, index: int) -> bytes:
    """Return the weights in a member's only checkpoint."""
    (path,) = run.checkpoint_paths(run.record.members[index])
    arrays = keras.saving.load_model(path, compile=False).get_weights()
    return b"".join(array.tobytes() for array in arrays)


def test_a_full_disk_ends_the_run_and_is_no_failure_of_a_member(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = fail_second_member(monkeypatch, OSError(errno.ENOSPC, "No space left"), times=9)
    with pytest.raises(OSError, match="No space left"):
        train(context(tmp_path, small_digits, FOLDED.format(required=2)))
    assert [member.index for member in begun] == [0, 1]
    monkeypatch.undo()
    begun = fail_second_member(monkeypatch, FileNotFoundError("a library's file"), times=1)
    run = train(context(tmp_path, small_digits, FOLDED.format(required=2)))
    assert [member.index for member in begun] == [1, 2, 1]
    assert [member.status for member in run.record.members] == ["done"] * 3


def test_a_run_that_is_lost_to_another_host_is_no_failure_of_a_member(
    small_digits: Path, tmp_path: Path
) -> None:
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if line.startswith("epoch  2/"):
            (path,) = tmp_path.glob("runs/*/claim.json")
            path.write_text('{"host": "elsewhere", "process": 7}')

    with pytest.raises(LostRunError):
        train(context(tmp_path, small_digits, "training.epochs=9", report))
    assert not [line for line in lines if "failed" in line or "trying again" in line]
    (run,) = RunStore(tmp_path / "runs").all()
    (member,) = run.record.members
    assert (run.record.status, member.status, member.epochs) == ("running", "running", 2)


def test_attempts_are_counted_across_commands(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = FOLDED.format(required=3)
    with monkeypatch.context() as patch:
        fail_second_member(patch, DivergedError("loss became nan"), times=9)
        with pytest.raises(PipelineError, match="member 2: loss became nan"):
            train(context(tmp_path, small_digits, settings))
    begun = fail_second_member(monkeypatch, RuntimeError("never"), times=0)
    with pytest.raises(PipelineError, match="member 2: loss became nan"):
        train(context(tmp_path, small_digits, settings))
    assert begun == [], "the first command has used up all attempts"
    run = train(context(tmp_path, small_digits, f"{settings} members.retries=2"))
    assert [(member.index, member.attempt) for member in begun] == [(1, 2)]
    assert run.state() == "done"


def test_a_finished_run_stays_as_it_is_if_too_many_members_are_required_later(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_second_member(monkeypatch, DivergedError("loss became nan"), times=9)
    done = ensemble(context(tmp_path, small_digits, FOLDED.format(required=2)))
    before = (done.folder / "run.json").read_text()
    with pytest.raises(PipelineError, match=r"required is 3 \(member 2: loss became nan"):
        train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert (done.folder / "run.json").read_text() == before
    assert done.record.scores


def test_a_run_continues_without_a_member_that_keeps_failing(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = fail_second_member(monkeypatch, RuntimeError("no luck"), times=2)
    lines: list[str] = []
    tolerant = context(tmp_path, small_digits, FOLDED.format(required=2), lines.append)
    run = ensemble(tolerant)
    assert [member.index for member in begun] == [0, 1, 2, 1]
    assert run.state() == "done"
    assert [member.status for member in run.record.members] == ["done", "failed", "done"]
    report = f"run {run.id} continues without 1 of 3 members, as members.required is 2"
    assert f"{report} (member 2: RuntimeError: no luck)" in lines
    # The ensemble leaves out the checkpoints of the failed member, and so the rows of its fold.
    assert run.record.members[1].checkpoints
    assert run.record.checkpoint_count == 2
    held_out = tolerant.splits[1].validation_rows
    rows = run.load_arrays("validation")["rows"]
    np.testing.assert_array_equal(rows, np.setdiff1d(np.arange(600), held_out))
    assert any("has no member for fold 2 of 3" in line for line in lines)
    assert describe(run)[1:] == [
        "  3 members: 2 done, 1 failed",
        "  member 2: failed: RuntimeError: no luck",
    ]
    # If all three are required later, the same run continues, with the failed member alone.
    again = ensemble(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert (again.id, [member.index for member in begun[4:]]) == (run.id, [1])
    assert [member.status for member in again.record.members] == ["done"] * 3
    assert len(again.load_arrays("validation")["rows"]) == 600


def test_a_run_with_too_few_members_fails_and_gives_the_reason(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = fail_second_member(monkeypatch, RuntimeError("no luck"), times=2)
    message = (
        r"1 of 3 members failed, and members.required is 3 \(member 2: RuntimeError: no luck\)"
    )
    with pytest.raises(PipelineError, match=message):
        train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    (run,) = context(tmp_path, small_digits, "").store.all()
    assert run.state() == "failed"
    again = train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert [member.index for member in begun] == [0, 1, 2, 1, 1]
    assert again.state() == "done"


def test_a_run_whose_members_all_diverge_fails(small_digits: Path, tmp_path: Path) -> None:
    settings = "members.folds=2 training.epochs=2 training.learning_rate=1e30 members.retries=0"
    with pytest.raises(PipelineError, match=r"2 of 2 members failed.* loss became (nan|inf) in"):
        train(context(tmp_path, small_digits, settings))
    (run,) = context(tmp_path, small_digits, "").store.all()
    assert [member.attempt for member in run.record.members] == [1, 1]


def test_a_run_of_one_member_fails_with_its_reason(small_digits: Path, tmp_path: Path) -> None:
    settings = "training.epochs=2 training.learning_rate=1e30"
    lines: list[str] = []
    message = r"^run mlp_50-s0-\w+: loss became (nan|inf) in epoch 1.*learning_rate"
    with pytest.raises(PipelineError, match=message):
        train(context(tmp_path, small_digits, settings, lines.append))
    assert "training: trying again" in lines


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ("", 1),
        ("members.folds=5", 4),
        ("members.folds=5 members.seeds=3", 12),
        ("members.folds=5 members.required=2", 2),
    ],
)
def test_four_fifths_of_the_members_are_required_by_default(settings: str, needed: int) -> None:
    assert recipe.load("bn_cnn", settings).members.needed == needed


def test_more_members_than_there_are_cannot_be_required() -> None:
    with pytest.raises(PipelineError, match="required must be at most 5, the number of members"):
        recipe.load("bn_cnn", "members.folds=5 members.required=6")
