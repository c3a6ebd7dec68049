"""EXECUTOR=kaggle: the real kaggle command pushes kernels, and the stand-in really runs them."""

import base64
import io
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from pipeline.common import provenance
from pipeline.common.errors import PipelineError
from pipeline.executors import kaggle
from pipeline.executors.kaggle import job, machine, pushing, watching
from pipeline.recipe import Recipe, load
from pipeline.runs import Run, RunStore
from pipeline.stages import at_kaggle
from pipeline.stages import train as stage
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.request import Request
from pipeline.stages.stop import stop
from tests.commands import REPOSITORY, wait_until
from tests.kaggle.bench import enter
from tests.kaggle_kernels import KernelFaults, Kernels
from tests.kaggle_stand_in import TOKEN, StandIn

SHORT = [(watching, name) for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "LONGEST_ABSENCE")]
SHORT += [(pushing, "SETTLE_PAUSE")]
SMALL = "training.epochs=1 training.deterministic=true"


@dataclass
class Site:
    """A stand-in with kernels, a folder for runs, and what was reported."""

    server: StandIn
    kernels: Kernels
    root: Path
    digits: Path
    lines: list[str] = field(default_factory=list)

    @property
    def faults(self) -> KernelFaults:
        return self.kernels.faults

    def context(self, settings: str = SMALL, **request: Any) -> Context:
        """Return a request for the digits that the stand-in mounts in its kernels."""
        recipe: Recipe = load("quick", settings, None)
        given = Request(recipe=recipe, source=str(self.digits), **request)
        return Context(self.root, given, self.lines.append)

    def run(self, settings: str = SMALL) -> Run:
        """Return a new run."""
        context = self.context(settings)
        return context.store.create(stage._describe(context, None))

    def train(self, run: Run, *, force: bool = False, image: bool = False) -> None:
        """Train a run at Kaggle, as a command does."""
        with run.held(), run.in_progress():
            kaggle.train_run(run, self.lines.append, image=image, force=force)

    def failure(self, action: Callable[[], object]) -> str:
        """Return the one line that `action` fails with."""
        with pytest.raises(PipelineError) as caught:
            action()
        text = str(caught.value)
        assert "\n" not in text
        assert TOKEN not in "\n".join([text, *self.lines])
        return text


@pytest.fixture
def site(tmp_path: Path, small_digits: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A stand-in that this process sees as Kaggle, asked more often than Kaggle is."""
    home = tmp_path / "home"
    home.mkdir()
    for module, name in SHORT:
        monkeypatch.setattr(module, name, 0.2)
    with StandIn() as server:
        server.kernels = Kernels(tmp_path / "kernels", small_digits)
        enter(monkeypatch, server.environment(home))
        yield Site(server, server.kernels, tmp_path / "root", small_digits)
        assert server.count("CONNECT") == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_digits: Path) -> Iterator[Site]:
    """A run whose two members were trained in one kernel, which is still there."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch, StandIn() as server:
        server.kernels = Kernels(folder / "kernels", small_digits)
        enter(patch, server.environment(folder / "home"))
        site = Site(server, server.kernels, folder / "root", small_digits)
        site.train(site.run(f"{SMALL} members.seeds=2"))
        yield site


@pytest.fixture
def again(trained: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The same stand-in, and the run as it was when its kernel had been pushed."""
    enter(monkeypatch, trained.server.environment(tmp_path))
    for module, name in SHORT:
        monkeypatch.setattr(module, name, 0.2)
    site = Site(trained.server, trained.kernels, tmp_path / "root", trained.digits)
    shutil.copytree(trained.root, site.root)
    run = only_run(site)
    shutil.rmtree(run.folder / "members")
    for name in ("validation.npz", "test.npz"):
        (run.folder / name).unlink()
    run.training.kernels[-1].ended = ""
    for member in run.record.members:
        member.status, member.checkpoints, member.epochs = "pending", [], 0
    run.record.status, run.record.sha256, run.record.scores = "interrupted", {}, None
    run.save()
    site.kernels.faults = KernelFaults()
    yield site
    assert len(site.kernels.pushes) == 1


def trained_here(settings: str, digits: Path, root: Path) -> Run:
    """Return a run of `quick` that was trained in a process of its own."""
    root.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pipeline", "ensemble", "--recipe", "quick", "--set", settings]
    command += ["--source", str(digits), "--executor", "serial"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    (run,) = RunStore(root / "runs").all()
    return run


def unpacked(script: str) -> dict[str, bytes]:
    """Return the files that a kernel's source carries."""
    (payload,) = re.findall(r"\), '([A-Za-z0-9+/=]+)'\)", script)
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(base64.b64decode(payload)))) as file:
        members = [(one.name, file.extractfile(one)) for one in file]
        return {name: content.read() for name, content in members if content}


def only_run(site: Site) -> Run:
    (run,) = RunStore(site.root / "runs").all()
    return run


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


def test_a_training_that_is_killed_in_the_kernel_is_a_failure(site: Site) -> None:
    run = site.run("training.deterministic=true training.epochs=300 early_stopping.enabled=false")
    with run.held():
        pushing.push(run, [0], site.lines.append, image=False)
    (kernel,) = site.kernels.kernels.values()
    wait_until(lambda: any("epoch" in one["data"] for one in kernel.log), "no epoch", 90)
    for process in psutil.Process(kernel.process.pid).children():
        process.send_signal(signal.SIGKILL)
    message = site.failure(lambda: site.train(only_run(site)))
    assert "its training ended with code -9" in message
    kept = only_run(site)
    (member,) = kept.record.members
    assert member.epochs
    assert member.status == "interrupted"
    assert kept.checkpoint_paths()
    assert site.failure(lambda: site.train(kept)) == message
    assert len(site.kernels.pushes) == 1


def test_no_gpu_ends_the_kernel_at_once_and_no_other_is_pushed(site: Site) -> None:
    site.faults.gpus = ""
    run = site.run()
    message = site.failure(lambda: site.train(run))
    assert "Kaggle gave this kernel no GPU; verify your phone number" in message
    assert "FORCE=1 pushes a new one" in message
    assert site.failure(lambda: site.train(only_run(site))) == message
    assert len(site.kernels.pushes) == 1


def test_an_error_in_the_kernel_shows_what_its_log_says(site: Site) -> None:
    run = site.run()
    run.record.data_fingerprint = "0" * 64  # of other digits than Kaggle mounts
    run.record.identity = "0" * 64
    run.save()
    message = site.failure(lambda: site.train(run))
    assert "the command ended before it trained" in message
    assert [line for line in site.lines if "was begun with other data" in line]


@pytest.mark.parametrize(
    ("refused", "advice"),
    [
        ("Maximum batch GPU session count of 2 reached.", "wait until another kernel of yours"),
        ("Phone verification is required to use GPUs", "verify your phone number at"),
        ("The source is too large", "mend that, then run the same command again"),
    ],
)
def test_a_refused_push_leaves_nothing(site: Site, refused: str, advice: str) -> None:
    site.faults.push_error = refused
    run = site.run()
    message = site.failure(lambda: site.train(run))
    assert f"Kaggle refused the kernel: {refused.rstrip('.')}; {advice}" in message
    assert only_run(site).training.kernels == []


def test_a_kernel_without_the_digits_is_deleted(site: Site) -> None:
    site.faults.invalid_sources = True
    message = site.failure(lambda: site.train(site.run()))
    assert "Kaggle left out the competition digit-recognizer; accept the rules at" in message
    assert (len(site.kernels.pushes), len(site.kernels.deleted)) == (1, 1)


def test_rules_and_quota_are_asked_for_before_the_push(site: Site) -> None:
    run = site.run()
    site.faults.used_hours = 29.95
    assert "too little for a kernel; wait for the next week" in site.failure(
        lambda: site.train(run)
    )
    site.server.faults.rules_accepted = False
    assert "the rules of digit-recognizer are not accepted yet" in site.failure(
        lambda: site.train(run)
    )
    assert site.server.count("SaveKernel") == 0
    assert only_run(site).training.kernels == []


def test_a_source_that_is_too_large_is_not_pushed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "LARGEST_SOURCE", 100_000)
    message = site.failure(lambda: site.train(site.run()))
    assert "and Kaggle takes 100,000" in message
    assert site.server.count("SaveKernel") == 0


def test_a_push_whose_answer_is_lost_is_not_repeated(site: Site) -> None:
    site.faults.lose_push_reply = True
    run = site.run()
    site.train(run)
    assert only_run(site).record.status == "done"
    assert len(site.kernels.pushes) == 1


@pytest.mark.slow
def test_the_time_limit_keeps_what_is_trained(site: Site) -> None:
    settings = "training.epochs=4000 early_stopping.enabled=false members.hours=0.015"
    run = site.run(f"training.deterministic=true {settings}")
    site.train(run)
    kept = only_run(site)
    assert "| kernel: the time limit was reached" in site.lines
    (member,) = kept.record.members
    assert member.status == "interrupted"
    assert member.epochs
    assert (kept.member_folder(0) / "resume.npz").is_file()
    assert kept.checkpoint_paths()
    kept.training.kernels[-1].ended, kept.record.members[0].epochs = "", 10**6
    kept.save()
    site.train(only_run(site))  # what is fetched again is not better
    assert only_run(site).record.members[0].epochs == 10**6


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


def test_stop_deletes_the_kernel(site: Site) -> None:
    run = site.run("training.epochs=4000")
    with run.held():
        pushing.push(run, [0], site.lines.append, image=False)
    stop(site.context(runs=(run.id,)))
    assert only_run(site).training.kernels[-1].ended == "make stop deleted it"
    assert len(site.kernels.deleted) == 1
    assert "h of 30 h of GPU time left" in site.lines[-1]
    message = site.failure(lambda: stop(site.context(runs=(run.id,))))
    assert message.endswith("has no kernel that runs (make runs shows its state)")


def test_only_the_competitions_own_files_can_be_trained_on(site: Site) -> None:
    context = site.context(executor="kaggle")
    message = site.failure(lambda: stage.train(context))
    assert "EXECUTOR is 'kaggle', which trains on the competition's own files" in message
    assert "KAGGLE_IMAGE is 1, and EXECUTOR is 'serial'" in site.failure(
        lambda: Request(executor="serial", kaggle_image=True)
    )


@pytest.mark.slow
def test_the_images_libraries_are_recorded(site: Site) -> None:
    context = site.context(executor="kaggle", kaggle_image=True)
    run = context.store.create(stage._describe(context, None))
    assert run.record.versions == at_kaggle.IMAGE
    assert run.record.identity != site.run().record.identity
    site.train(run, image=True)
    kept = RunStore(site.root / "runs").get(run.id)
    assert kept.record.status == "done"
    assert kept.record.versions == provenance.versions()


@pytest.mark.slow
@pytest.mark.parametrize("image", [False, True])
def test_a_kernel_with_other_libraries_installs_what_it_needs(
    site: Site, tmp_path: Path, image: bool
) -> None:
    venv.create(tmp_path / "bare", with_pip=True)
    site.kernels.python = str(tmp_path / "bare" / "bin" / "python")
    context = site.context(f"{SMALL} members.gpus=0", executor="kaggle", kaggle_image=image)
    run = context.store.create(stage._describe(context, None))
    site.train(run, image=image)
    kept = only_run(site)
    assert kept.record.versions == provenance.versions()
    beginning = "| kernel: adding" if image else "| kernel: installed in"
    assert [line for line in site.lines if line.startswith(beginning)]
    here = trained_here(f"{SMALL} members.gpus=0", site.digits, tmp_path / "here")
    expected = here.load_arrays("test")["probabilities"]
    assert np.array_equal(kept.load_arrays("test")["probabilities"], expected)
    (request,) = site.kernels.pushes
    assert (request["enableGpu"], request.get("machineShape")) == (False, None)


def test_a_gpu_that_tensorflow_does_not_see_ends_the_kernel(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(SystemExit):
        machine.require_tensorflow_gpu(sys.executable)
    assert capsys.readouterr().out.startswith("error: TensorFlow does not see the GPU; KAGGLE_IM")


def test_libraries_that_are_not_locked_are_told_before_the_push(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = site.run()
    other = {**provenance.versions(), "numpy": "1.0.0"}
    monkeypatch.setattr(provenance, "versions", lambda: other)
    message = site.failure(lambda: site.train(run))
    assert "are not those of requirements-kaggle.lock: numpy 1.0.0 (locked: " in message
    assert site.server.count("SaveKernel") == 0
