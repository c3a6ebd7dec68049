"""EXECUTOR=kaggle: the real kaggle command pushes kernels, and the stand-in really runs them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.executors import kaggle
from pipeline.executors.kaggle import pushing, watching
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.stop import stop
from tests.commands import REPOSITORY
from tests.kaggle.site import SMALL, Site, only_run, trained_here, unpacked
from tests.kaggle_kernels import KernelFaults
from tests.kaggle_stand_in import TOKEN


def test_a_run_trained_at_kaggle_is_the_run_trained_here(trained: Site, tmp_path: Path) -> None:
    there = only_run(trained)
    here = trained_here(f"{SMALL} members.seeds=2", trained.digits, tmp_path)
    assert there.record.status == "done"
    assert there.record.identity == here.record.identity
    assert there.record.versions == here.record.versions
    for name in ("validation", "test"):
        a, b = there.load_arrays(name), here.load_arrays(name)
        assert all(np.array_equal(a[key], b[key]) for key in b)
    for index in range(2):
        one, other = (
            pd.read_csv(run.member_folder(index) / "history.csv").drop(columns="seconds")
            for run in (there, here)
        )
        pd.testing.assert_frame_equal(one, other)
    assert there.record.scores == here.record.scores
    assert there.training.hardware["precision"] == here.training.hardware["precision"]
    assert len(there.checkpoint_paths()) == 2


def test_what_is_pushed_is_private_small_and_holds_no_token(trained: Site) -> None:
    (request,) = trained.kernels.pushes
    assert request["isPrivate"] is True
    assert (request["enableGpu"], request["machineShape"]) == (True, "NvidiaTeslaT4")
    assert request["competitionDataSources"] == ["digit-recognizer"]
    assert request["sessionTimeoutSeconds"] == 3 * 3600 + pushing.MARGIN
    assert len(request["text"]) < 500_000
    sent = unpacked(request["text"])
    assert {"requirements.lock", "uv.lock", "pipeline/cli/__init__.py"} <= set(sent)
    assert {Path(name).suffix for name in sent} == {".py", ".toml", ".lock", ".json"}
    assert not [name for name, content in sent.items() if TOKEN.encode() in content]
    assert TOKEN not in (only_run(trained).folder / "run.json").read_text()


def test_the_log_is_shown_once_with_epochs_and_the_time_left(trained: Site) -> None:
    epochs = [line for line in trained.lines if "epoch  1/1" in line]
    assert len(epochs) == 2
    assert all("left" in line for line in epochs)
    assert [line for line in trained.lines if line.startswith("| kernel: 2 GPUs")]
    assert "2 of 2 members trained on Kaggle" in trained.lines
    assert any("h of 30 h of GPU time left until 2026-11-28" in one for one in trained.lines)


def test_a_later_command_returns_to_the_kernel_and_fetches_it(again: Site) -> None:
    again.faults.new_place = True
    again.train(only_run(again))
    run = only_run(again)
    assert (run.record.status, run.training.kernels[-1].ended) == ("done", "complete")
    assert run.load_arrays("test")["probabilities"].shape == (200, 10)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"cut_output": "member-1.tar"}, "bytes of member-1.tar instead of"),
        ({"altered_output": "member-0.tar"}, "has another member-0.tar than manifest.json says"),
        ({"altered_output": "run.tar"}, "has another run.tar than manifest.json says"),
        ({"cut_output": "manifest.json"}, "has a damaged manifest.json"),
        ({"output_names": {"member-0.tar": "../member-0.tar"}}, "lacks member-0.tar"),
    ],
    ids=["cut off", "altered", "altered, the rest", "manifest cut off", "outside"],
)
def test_a_bad_output_changes_nothing_and_is_fetched_again(
    again: Site, fault: dict[str, Any], expected: str
) -> None:
    for name, value in fault.items():
        setattr(again.faults, name, value)
    before = (only_run(again).folder / "run.json").read_text()
    message = again.failure(lambda: again.train(only_run(again)))
    assert expected in message
    assert "nothing was changed here" in message
    run = only_run(again)
    assert [one.status for one in run.record.members] == ["pending"] * 2
    assert json.loads(before)["kernels"] == [one.model_dump() for one in run.training.kernels]
    assert not list(run.folder.glob("members/*"))
    assert not list(again.root.rglob("member-0.tar"))
    again.kernels.faults = KernelFaults()
    again.train(run)
    assert only_run(again).record.status == "done"


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "names a file '../../kernel/output/member-0.tar'": lambda manifest: manifest["files"].update(
        {"../../kernel/output/member-0.tar": manifest["files"]["member-0.tar"]}
    ),
    "has another member 1 than the run": lambda manifest: manifest["record"]["members"][0].update(
        seed=99
    ),
    "lacks ": lambda manifest: manifest["record"]["sha256"].clear(),
}


@pytest.mark.parametrize("expected", HOSTILE)
def test_a_manifest_that_does_not_fit_is_refused(again: Site, expected: str) -> None:
    run = only_run(again)
    working = again.kernels.kernels[run.training.kernels[-1].slug].folder / "working"
    path = working / "manifest.json"
    text = path.read_text()
    manifest = json.loads(text)
    HOSTILE[expected](manifest)
    try:
        path.write_text(json.dumps(manifest))
        message = again.failure(lambda: again.train(run))
    finally:
        path.write_text(text)
    assert expected in message
    assert {one.name for one in again.root.iterdir()} == {"data", "runs"}
    assert not list(only_run(again).folder.glob("members/*"))


def test_the_run_stays_claimed_while_its_files_come_home(again: Site) -> None:
    run = only_run(again)
    with run.held(), run.in_progress():
        kaggle.train_run(run, again.lines.append, image=False, force=False)
        assert only_run(again).state() == "running"
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        *("claim.json", "run.json", "members", "validation.npz", "test.npz", "mistakes.png"),
        *("handed-to-kaggle", "handed-to-kaggle.lock"),
    }


@pytest.mark.parametrize("moment", ["rmtree", "move"])
def test_a_kill_while_files_come_home_leaves_a_run_that_fits(
    again: Site, trained: Site, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    run, whole = only_run(again), only_run(trained)
    shutil.copytree(whole.member_folder(0), run.member_folder(0))
    partly = {"status": "interrupted", "epochs": 0}
    run.record.members[0] = whole.record.members[0].model_copy(update=partly)
    run.record.sha256 = dict(whole.record.sha256)
    run.save()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, moment, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            again.train(only_run(again))
    assert only_run(again).checkpoint_paths() == []
    again.train(only_run(again))
    assert len(only_run(again).checkpoint_paths()) == 2


def test_the_output_of_another_kernel_is_refused(again: Site) -> None:
    run = only_run(again)
    kernel = run.training.kernels[-1]
    again.kernels.kernels["digits-other"] = again.kernels.kernels[kernel.slug]
    kernel.slug = "digits-other"
    run.save()
    try:
        message = again.failure(lambda: again.train(only_run(again)))
    finally:
        del again.kernels.kernels["digits-other"]
    assert "is of the kernel digits-" in message


def test_statuses_that_cannot_be_read_and_cut_logs_are_asked_for_again(again: Site) -> None:
    again.faults.unreadable_statuses, again.faults.cut_logs = 3, 2
    again.train(only_run(again))
    assert only_run(again).record.status == "done"
    assert len([line for line in again.lines if "epoch  1/1" in line]) == 2


def test_a_kernel_said_to_run_for_ever_is_fetched_once_it_has_written_its_files(
    again: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SETTLED", 0.5)
    again.faults.never_ends = True
    again.train(only_run(again))
    assert only_run(again).record.status == "done"


def test_a_status_that_never_arrives_ends_the_command_and_not_the_kernel(
    again: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LONGEST_SILENCE", 0.5)
    again.faults.unreadable_statuses = 1000
    message = again.failure(lambda: again.train(only_run(again)))
    assert "has not told the status of https://www.kaggle.com/code/tester" in message
    assert "the same command returns to it" in message
    assert only_run(again).training.kernels[-1].ended == ""


def test_a_kernel_said_to_run_far_beyond_its_limit_is_fetched_all_the_same(
    again: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = only_run(again)
    run.training.kernels[-1].running_since = "2026-01-01T00:00:00+00:00"
    run.save()
    again.faults.never_ends = True
    again.faults.output_names = {"manifest.json": "other.json"}
    monkeypatch.setattr(watching, "LAST_LINE", "a line that does not come")
    message = again.failure(lambda: again.train(run))
    assert f"make stop RUN={run.id} deletes it" in message
    assert only_run(again).training.kernels[-1].ended == ""
    again.faults.output_names = {}
    again.train(only_run(again))
    assert only_run(again).record.status == "done"


def test_a_kernel_that_kaggle_does_not_show_for_a_while_is_returned_to(again: Site) -> None:
    again.faults.hidden = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAGGLE_API_TOKEN", "wrong")
        assert "Kaggle refused" in again.failure(lambda: again.train(only_run(again)))
    kernel = only_run(again).training.kernels[-1]
    assert kernel.ended == ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(again.kernels, "listing", list)
        assert "it is not at Kaggle any more" in again.failure(lambda: again.train(only_run(again)))
    again.kernels.faults = KernelFaults()
    again.train(only_run(again))
    assert only_run(again).training.kernels[-1].slug == kernel.slug
    assert only_run(again).record.status == "done"


def test_a_kernel_that_left_no_manifest_has_failed(again: Site) -> None:
    again.faults.output_names = {"manifest.json": "other.json"}
    message = again.failure(lambda: again.train(only_run(again)))
    assert "it has left no manifest.json, so nothing was trained" in message
    assert "EXECUTOR=kaggle FORCE=1 pushes a new one" in message


def test_what_was_trained_comes_home_from_a_kernel_that_failed(again: Site) -> None:
    again.faults.status = "CANCEL_ACKNOWLEDGED"
    again.train(only_run(again))
    run = only_run(again)
    assert (run.record.status, run.training.kernels[-1].ended) == ("done", "complete")


def test_a_member_that_is_done_here_is_not_replaced(again: Site, trained: Site) -> None:
    run, whole = only_run(again), only_run(trained)
    shutil.copytree(whole.member_folder(0), run.member_folder(0))
    run.record.members[0] = whole.record.members[0].model_copy(update={"host": "here"})
    run.record.sha256 = dict(whole.record.sha256)
    run.save()
    again.train(run)
    kept = only_run(again)
    assert [one.host == "here" for one in kept.record.members] == [True, False]
    assert kept.checkpoint_paths()


def test_no_other_executor_trains_a_run_beside_its_kernel(again: Site) -> None:
    run = only_run(again)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "pipeline", "train", "--run", run.id, "--executor", "serial"]
    done = subprocess.run(command, cwd=again.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    message = done.stderr
    assert f"make train RUN={run.id} EXECUTOR=kaggle returns to it" in message


def test_stop_keeps_a_kernel_whose_files_can_be_fetched(again: Site) -> None:
    run = only_run(again)
    context = again.context(runs=(run.id,))
    assert "EXECUTOR=kaggle fetches them" in again.failure(lambda: stop(context))
    assert only_run(again).training.kernels[-1].ended == ""


def test_another_command_trains_the_rest_in_another_kernel(site: Site, trained: Site) -> None:
    whole, run = only_run(trained), site.run(f"{SMALL} members.seeds=2")
    shutil.copytree(whole.member_folder(0), run.member_folder(0))
    run.record.members[0] = whole.record.members[0]
    run.record.sha256 = {
        name: one for name, one in whole.record.sha256.items() if name.startswith("members/0/")
    }
    run.training.kernels = [
        one.model_copy(update={"members": [0, 1]}) for one in whole.training.kernels
    ]
    run.save()
    site.train(run)
    _, second = only_run(site).training.kernels
    assert (second.members, second.ended) == ([1], "complete")
    request = site.context(f"{SMALL} members.seeds=2", runs=(run.id,)).request
    scored = ensemble(Context(site.root, request, site.lines.append))
    expected = whole.load_arrays("test")["probabilities"]
    assert np.array_equal(scored.load_arrays("test")["probabilities"], expected)
