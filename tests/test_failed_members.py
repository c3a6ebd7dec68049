"""One bad member does not spoil the rest: tried again, then marked, and the others go on."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import recipe
from pipeline.common.errors import DivergedError, PipelineError
from pipeline.executors import worker
from pipeline.recipe import Recipe
from pipeline.runs import Member, Run, describe
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.request import Request
from pipeline.stages.train import train
from pipeline.training import loop
from pipeline.training.events import EpochEnded, Event

FOLDED = "members.folds=3 training.epochs=2 members.required={required}"


class Telling:
    """Takes lines of text and keeps them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)


def context(root: Path, data: Path, settings: str, *, telling: Telling | None = None) -> Context:
    request = Request(recipe=recipe.load("mlp_50", settings), source=str(data), executor="serial")
    return Context(root, request, telling or Telling())


def second_fails(patch: pytest.MonkeyPatch, error: Exception, times: int) -> list[Member]:
    """Have the second member fail so often, after its first epoch; return whose training begins."""
    original: Callable[..., None] = loop.train_member
    begun: list[Member] = []

    def fail_sometimes(settings: Recipe, member: Member, *rows: Any, **others: Any) -> None:
        begun.append(member)
        on_event = others.pop("on_event")
        fails = member.index == 1 and sum(one.index == 1 for one in begun) <= times

        def fail(event: Event) -> None:
            on_event(event)
            if fails and isinstance(event, EpochEnded):
                raise error

        original(settings, member, *rows, on_event=fail, **others)

    patch.setattr(worker, "train_member", fail_sometimes)
    return begun


def test_a_member_that_raises_is_tried_again_from_its_last_epoch(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = second_fails(monkeypatch, RuntimeError("the device\nis gone"), times=1)
    telling = Telling()
    run = train(context(tmp_path, small_digits, FOLDED.format(required=3), telling=telling))
    assert [one.index for one in begun] == [0, 1, 2, 1]
    assert begun[-1].epochs == 1
    assert [one.status for one in run.record.members] == ["done"] * 3
    assert [one.reason for one in run.record.members] == [""] * 3
    trace = run.member_folder(1) / "error.txt"
    failure = f"member 2/3 failed: RuntimeError: the device (traceback: {trace})"
    assert failure in telling.lines
    assert "is gone" in trace.read_text()
    assert "member 2/3, fold 2 of 3: continuing after epoch 1" in telling.lines


def test_a_member_that_diverges_begins_anew_with_other_weights(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = second_fails(monkeypatch, DivergedError("loss became nan"), times=1)
    run = train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert [(one.index, one.epochs, one.attempt) for one in begun][-1] == (1, 0, 1)
    undisturbed = train(context(tmp_path / "other", small_digits, FOLDED.format(required=3)))
    assert [one.attempt for one in run.record.members] == [0, 1, 0]
    same = [first_weights(run, one) == first_weights(undisturbed, one) for one in range(3)]
    assert same == [True, False, True]


def first_weights(run: Run, index: int) -> bytes:
    (path,) = run.checkpoint_paths(run.record.members[index])
    weights = keras.saving.load_model(path, compile=False).get_weights()
    return b"".join(one.tobytes() for one in weights)


def test_a_disk_that_is_full_is_no_members_fault(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = second_fails(monkeypatch, OSError(errno.ENOSPC, "No space left"), times=9)
    with pytest.raises(OSError, match="No space left"):
        train(context(tmp_path, small_digits, FOLDED.format(required=2)))
    assert [one.index for one in begun] == [0, 1]
    monkeypatch.undo()
    begun = second_fails(monkeypatch, FileNotFoundError("a library's file"), times=1)
    run = train(context(tmp_path, small_digits, FOLDED.format(required=2)))
    assert [one.index for one in begun] == [1, 2, 1]
    assert [one.status for one in run.record.members] == ["done"] * 3


def test_a_lost_member_may_still_diverge_and_the_count_outlives_the_command(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = FOLDED.format(required=3)
    with monkeypatch.context() as patch:
        second_fails(patch, DivergedError("loss became nan"), times=9)
        with pytest.raises(PipelineError, match="member 2: loss became nan"):
            train(context(tmp_path, small_digits, settings))
    begun = second_fails(monkeypatch, RuntimeError("never"), times=0)
    with pytest.raises(PipelineError, match="member 2: loss became nan"):
        train(context(tmp_path, small_digits, settings))
    assert begun == [], "its tries were used up, whatever the number of commands"
    run = train(context(tmp_path, small_digits, f"{settings} members.retries=2"))
    assert [(one.index, one.attempt) for one in begun] == [(1, 2)]
    assert run.state() == "done"


def test_a_run_that_is_done_stays_so_where_more_is_required_in_vain(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_fails(monkeypatch, DivergedError("loss became nan"), times=9)
    done = ensemble(context(tmp_path, small_digits, FOLDED.format(required=2)))
    before = (done.folder / "run.json").read_text()
    with pytest.raises(PipelineError, match=r"required is 3 \(member 2: loss became nan"):
        train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert (done.folder / "run.json").read_text() == before
    assert done.record.scores


def test_the_others_go_on_without_a_member_that_fails_for_good(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = second_fails(monkeypatch, RuntimeError("no luck"), times=2)
    telling = Telling()
    request = context(tmp_path, small_digits, FOLDED.format(required=2), telling=telling)
    run = ensemble(request)
    assert [one.index for one in begun] == [0, 1, 2, 1]
    assert run.state() == "done"
    assert [one.status for one in run.record.members] == ["done", "failed", "done"]
    said = f"run {run.id} continues without 1 of 3 members, as members.required is 2"
    assert f"{said} (member 2: RuntimeError: no luck)" in telling.lines
    # It has two checkpoints, of which none counts; its fold's rows are predicted by nobody.
    assert run.record.members[1].checkpoints
    assert run.record.checkpoint_count == 2
    held_out = request.splits[1].validation_rows
    rows = run.load_arrays("validation")["rows"]
    np.testing.assert_array_equal(rows, np.setdiff1d(np.arange(600), held_out))
    assert any("has no member for fold 2 of 3" in line for line in telling.lines)
    assert describe(run)[1:] == [
        "  3 members: 2 done, 1 failed",
        "  member 2: failed: RuntimeError: no luck",
    ]
    # Whoever wants all three after all has the same run, and only that member is trained.
    again = ensemble(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert (again.id, [one.index for one in begun][4:]) == (run.id, [1])
    assert [one.status for one in again.record.members] == ["done"] * 3
    assert len(again.load_arrays("validation")["rows"]) == 600


def test_too_few_members_end_the_run_clearly(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = second_fails(monkeypatch, RuntimeError("no luck"), times=2)
    told = r"1 of 3 members failed, and members.required is 3 \(member 2: RuntimeError: no luck\)"
    with pytest.raises(PipelineError, match=told):
        train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    (run,) = context(tmp_path, small_digits, "").store.all()
    assert run.state() == "failed"
    again = train(context(tmp_path, small_digits, FOLDED.format(required=3)))
    assert [one.index for one in begun] == [0, 1, 2, 1, 1]
    assert again.state() == "done"


def test_a_rate_that_lets_every_member_diverge_ends_the_run(
    small_digits: Path, tmp_path: Path
) -> None:
    settings = "members.folds=2 training.epochs=2 training.learning_rate=1e30 members.retries=0"
    with pytest.raises(PipelineError, match=r"2 of 2 members failed.* loss became (nan|inf) in"):
        train(context(tmp_path, small_digits, settings))
    (run,) = context(tmp_path, small_digits, "").store.all()
    assert [one.attempt for one in run.record.members] == [1, 1]


def test_the_only_member_says_itself_why_it_failed(small_digits: Path, tmp_path: Path) -> None:
    settings = "training.epochs=2 training.learning_rate=1e30"
    telling = Telling()
    told = r"^run mlp_50-s0-\w+: loss became (nan|inf) in epoch 1.*learning_rate"
    with pytest.raises(PipelineError, match=told):
        train(context(tmp_path, small_digits, settings, telling=telling))
    assert "training: trying again" in telling.lines


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ("", 1),
        ("members.folds=5", 4),
        ("members.folds=5 members.seeds=3", 12),
        ("members.folds=5 members.required=2", 2),
    ],
)
def test_four_in_five_are_required_unless_the_recipe_says_otherwise(
    settings: str, needed: int
) -> None:
    assert recipe.load("bn_cnn", settings).members.needed == needed


def test_more_than_all_cannot_be_required() -> None:
    with pytest.raises(PipelineError, match="required is at most 5, the members"):
        recipe.load("bn_cnn", "members.folds=5 members.required=6")
