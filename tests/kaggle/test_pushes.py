"""EXECUTOR=kaggle: kernels that are refused, that fail, or that Kaggle's limits end."""

import signal
import sys
import venv
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.common import provenance
from pipeline.common.errors import TimeLimitError
from pipeline.executors.kaggle import job, machine, pushing
from pipeline.runs import RunStore
from pipeline.stages import at_kaggle
from pipeline.stages import train as stage
from pipeline.stages.request import Request
from pipeline.stages.stop import stop
from tests.commands import wait_until
from tests.kaggle.site import SMALL, Site, only_run, trained_here


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
    with pytest.raises(TimeLimitError, match="1 of 1 members"), run.held(), run.in_progress():
        at_kaggle.train(site.context(), run)
    kept = only_run(site)
    assert (kept.record.status, kept.record.reason) == ("interrupted", "its time limit")
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
