"""Every executor gives the same numbers, also where a process or a machine dies in between."""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.common import provenance
from pipeline.common.errors import PipelineError
from pipeline.data.digits import Digits
from pipeline.data.split import hold_out
from pipeline.executors import processes, queue, ray
from pipeline.executors.plan import Arrangement, arrange
from pipeline.executors.tasks import Task
from pipeline.recipe import load
from pipeline.runs import Member, RunStore
from pipeline.stages.request import Request
from pipeline.training.events import Began, EpochEnded, Failed, Finished, StepEnded, Validating
from tests.bench.kills import differences
from tests.commands import REPOSITORY, Command, command, wait_until

SETTINGS = (
    "members.folds=3 training.batch_size=50 checkpoints.keep_best=2 training.deterministic=true"
)
EPOCHS = 8


def ensemble(
    root: Path, data: Path, executor: str, seed: int = 0, **variables: str
) -> AbstractContextManager[Command]:
    """Start `make ensemble` for three small members in `root`."""
    changes = f"{SETTINGS} training.epochs={EPOCHS}"
    arguments = ["--recipe", "mlp_50", "--set", changes, "--source", str(data), "--seed", str(seed)]
    return command(root, "ensemble", *arguments, "--executor", executor, **variables)


@pytest.fixture(scope="module")
def serial(small_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run whose members were trained one after another."""
    root = tmp_path_factory.mktemp("serial")
    with ensemble(root, small_digits, "serial") as running:
        running.finish()
    return root


def test_a_deterministic_member_has_one_thread_in_the_process_of_the_command(
    small_digits: Path, tmp_path: Path
) -> None:
    changes = "training.deterministic=true training.epochs=1"
    arguments = ["--recipe", "mlp_50", "--set", changes, "--source", str(small_digits)]
    with command(tmp_path, "train", *arguments, "--executor", "serial") as running:
        running.finish()
        assert running.record()["hardware"]["threads"] == 1


def test_a_later_command_predicts_with_the_threads_of_training(
    small_digits: Path, tmp_path: Path
) -> None:
    """On a processor without AVX-512, mlp_50 rounds otherwise with two threads than with one."""
    words = ["--recipe", "mlp_50", "--set", "training.deterministic=true training.epochs=1"]
    with command(tmp_path, "ensemble", *words, "--source", str(small_digits)) as running:
        running.finish()
    (run,) = RunStore(tmp_path / "runs").all()
    before = {name: run.load_arrays(name)["probabilities"] for name in ("validation", "test")}
    with command(tmp_path, "ensemble", "--run", run.id, "--force") as again:
        assert "predicting" in again.finish()
    (run,) = RunStore(tmp_path / "runs").all()
    for name, probabilities in before.items():
        assert np.array_equal(run.load_arrays(name)["probabilities"], probabilities)


@pytest.mark.slow
def test_two_runs_at_the_same_time_do_not_disturb_each_other(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    with (
        ensemble(tmp_path, small_digits, "serial", seed=1) as other,
        ensemble(tmp_path, small_digits, "serial") as running,
    ):
        running.finish()
        other.finish()
    (second,) = (tmp_path / "runs").glob("mlp_50-s1-*")
    second.rename(tmp_path / second.name)
    assert differences(serial, tmp_path) == []


def has_ended(process: int) -> bool:
    """Return whether a process has ended. Nobody may have collected its exit code yet."""
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for_end(process: int) -> None:
    wait_until(lambda: has_ended(process), f"process {process} still runs")


@pytest.mark.slow
def test_a_killed_worker_costs_no_finished_epoch_and_leaves_other_members_alone(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    with ensemble(tmp_path / "killed", small_digits, "processes") as running:
        running.read_until(r"member 1/3  epoch  3/")
        victim = running.record()["members"][0]
        assert victim["process"] != running.process.pid
        os.kill(victim["process"], signal.SIGKILL)
        printed = running.finish()
    assert "failed: the member's process ended before it was done (SIGKILL(-9))" in printed
    assert "member 1/3: trying again\n" in printed
    assert re.search(r"member 1/3, fold 1 of 3: continuing after epoch [3-8]\n", printed)
    assert printed.count("continuing after epoch") == 1
    assert [member["status"] for member in running.record()["members"]] == ["done"] * 3
    assert differences(serial, running.root) == []


def test_an_error_in_a_worker_is_reported_and_a_dead_idle_worker_is_replaced(
    labelled: Digits, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", labelled.images)
    np.save(tmp_path / "labels.npy", labelled.labels)
    split = hold_out(labelled.labels, 0.25, 0, "d" * 64)
    impossible = replace(split, train_rows=np.array([10**6]))
    settings = load("mlp_50", "training.epochs=1 training.precision=float32")
    task = Task(settings, Member(index=0, seed=0), split, threads=1)
    slot = processes.WorkerSlot(tmp_path, {})
    try:
        slot.start(replace(task, split=impossible))
        failed = slot.receive()
        assert isinstance(failed, Failed)
        assert failed.reason.startswith("IndexError: index 1000000 is out of bounds")
        assert "Traceback" in failed.trace
        (worker,) = slot.pool._processes
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: slot.pool._flags.broken, "loky did not notice that the process died")
        slot.start(task)
        events = [slot.receive()]
        while slot.task:
            events.append(slot.receive())
        kinds = [type(event) for event in events if not isinstance(event, StepEnded)]
        assert kinds == [Began, Validating, EpochEnded, Finished]
    finally:
        slot.close()


def test_a_member_can_be_stopped_and_its_worker_is_renewed_after_some_members(
    labelled: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "RENEWED_AFTER", 2)
    split = hold_out(labelled.labels, 0.25, 0, "d" * 64)
    long = load("mlp_50", "training.epochs=1000000 training.precision=float32")
    arrangement, workers = Arrangement("processes", 1, 1, 0), []
    with processes.open_slots(tmp_path, labelled, arrangement, 1, 0) as (slot,):
        for index in range(3):
            slot.start(Task(long, Member(index=index, seed=0), split, threads=1))
            while not isinstance(slot.receive(), EpochEnded):
                pass
            (worker,) = slot.pool._processes
            workers.append(worker)
            slot.stop()
            while slot.task:
                event = slot.receive()
            assert event == Failed(index, "it was asked to stop")
    first, second, third = workers
    assert first == second != third


@pytest.mark.slow
def test_workers_end_with_the_process_that_holds_the_run(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    root = tmp_path / "killed"
    with ensemble(root, small_digits, "processes") as running:
        running.read_until(r"member \d/3  epoch  2/")
        members = running.record()["members"]
        workers = [member["process"] for member in members if member["process"]]
        assert workers
        running.process.kill()
        running.process.wait()
        for worker in workers:
            wait_for_end(worker)
    (run,) = RunStore(root / "runs").all()
    assert run.state() == "interrupted"
    assert {member.status for member in run.members()} <= {"interrupted", "pending", "done"}
    with ensemble(root, small_digits, "processes") as again:
        assert "continuing after epoch" in again.finish()
    assert differences(serial, root) == []


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_loses_no_finished_epoch(
    small_digits: Path, tmp_path: Path
) -> None:
    with ensemble(tmp_path, small_digits, "processes") as running:
        running.read_until(r"member \d/3  epoch  2/")
        members = running.record()["members"]
        workers = [member["process"] for member in members if member["process"]]
        assert workers
        os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does
        running.process.wait(timeout=30)
        for worker in workers:
            wait_for_end(worker)
        assert running.errors().splitlines()[-1] == "interrupted"
    assert running.process.returncode == 130
    record = running.record()
    assert record["status"] == "interrupted"
    assert "running" not in {member["status"] for member in record["members"]}
    with ensemble(tmp_path, small_digits, "processes") as again:
        printed = again.finish()
    unfinished = [member for member in record["members"] if 0 < member["epochs"] < EPOCHS]
    assert unfinished
    for member in unfinished:
        name = f"member {member['index'] + 1}/3, fold {member['fold'] + 1} of 3"
        assert f"{name}: continuing after epoch {member['epochs']}\n" in printed


@contextmanager
def ray_cluster(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a cluster that requires the token in the folder `home`."""
    token = home / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text(secrets.token_hex(32))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.ray_cluster"],
        cwd=REPOSITORY,
        env={**os.environ, "HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as cluster:
        try:
            yield cluster
        finally:
            cluster.communicate(timeout=60)


@pytest.mark.slow
def test_a_ray_machine_that_dies_costs_no_finished_epoch(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    root, home = tmp_path / "ray", tmp_path / "home"
    with ray_cluster(home) as cluster:
        assert cluster.stdin
        assert cluster.stdout
        address = cluster.stdout.readline().split()[1]
        variables = {"RAY_ADDRESS": address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        no_token = str(tmp_path / "empty")
        with ensemble(tmp_path, small_digits, "ray", 0, HOME=no_token, **variables) as refused:
            refused.process.wait(timeout=120)
            assert "where no Ray cluster can be used" in refused.errors()
        with ensemble(root, small_digits, "ray", 0, HOME=str(home), **variables) as running:
            line = running.read_until(r"member \d/3  epoch  3/")
            index = int(line.split("/")[0].removeprefix("member ")) - 1
            victim = running.record()["members"][index]
            cluster.stdin.write(f"{victim['process']}\n")
            cluster.stdin.flush()
            printed = running.finish()
        assert cluster.stdout.readline() == "killed\n"
    assert f"member {index + 1}/3 failed: the member's Ray task was lost" in printed
    assert f"member {index + 1}/3: trying again" in printed
    assert "(raylet)" not in printed, "Ray's own log"
    assert [member["status"] for member in running.record()["members"]] == ["done"] * 3
    assert differences(serial, root) == []


@pytest.mark.slow
def test_ray_on_this_machine_gives_the_numbers_of_serial(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    with ensemble(tmp_path, small_digits, "ray", RAY_ADDRESS="") as running:
        running.finish()
        workers = {member["process"] for member in running.record()["members"]}
    assert running.process.pid not in workers
    assert differences(serial, tmp_path) == []
    for worker in workers:
        wait_for_end(worker)


def test_an_address_without_a_ray_cluster_is_reported(small_digits: Path, tmp_path: Path) -> None:
    with ensemble(tmp_path, small_digits, "ray", RAY_ADDRESS="127.0.0.1:9") as running:
        running.process.wait()
        errors = running.errors().splitlines()
        (line,) = [line for line in errors if line.startswith("error: ")]
    assert running.process.returncode == 1
    assert "RAY_ADDRESS is '127.0.0.1:9', where no Ray cluster can be used" in line


def test_an_unknown_executor_is_reported() -> None:
    with pytest.raises(PipelineError, match="EXECUTOR is 'gpu'; use one of auto, serial, proc"):
        Request(executor="gpu")


def test_missing_ray_is_reported_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match="Ray is not installed; make setup EXECUTOR=ray"):
        queue.find_executor("ray")


def test_a_machine_with_other_library_versions_is_reported() -> None:
    required = {**provenance.versions(), "tensorflow": "1.0"}
    with pytest.raises(PipelineError, match=r"tensorflow 2[0-9.]+, where the run has 1\.0;"):
        ray.check_versions(required)


@pytest.mark.parametrize(
    ("executor", "changes", "cores", "gpus", "expected"),
    [
        # One member has the whole machine. Several share its cores.
        ("auto", "", 8, 0, Arrangement("serial", 1, None, 0)),
        ("auto", "members.folds=5", 1, 0, Arrangement("serial", 1, None, 0)),
        ("auto", "members.folds=5", 2, 0, Arrangement("processes", 2, 1, 0)),
        ("auto", "members.folds=5", 16, 0, Arrangement("processes", 5, 3, 0)),
        ("auto", "members.folds=5 members.seeds=3", 8, 0, Arrangement("processes", 8, 1, 0)),
        ("auto", "members.folds=5 members.cpus=4", 8, 0, Arrangement("processes", 2, 4, 0)),
        ("processes", "", 2, 0, Arrangement("processes", 1, 2, 0)),
        ("serial", "members.folds=5", 8, 0, Arrangement("serial", 1, None, 0)),
        # Each GPU trains one member, or several that share it. A single GPU that is not shared
        # needs no other process.
        ("auto", "members.folds=5", 16, 1, Arrangement("serial", 1, None, 1)),
        ("auto", "members.folds=5", 16, 4, Arrangement("processes", 4, 4, 1)),
        ("auto", "members.folds=5 members.gpus=0.5", 16, 1, Arrangement("processes", 2, 8, 0.5)),
        ("auto", "members.folds=5 members.gpus=0", 16, 4, Arrangement("processes", 5, 3, 0)),
        # Deterministic training needs a fixed number of threads.
        ("auto", "training.deterministic=true", 8, 0, Arrangement("serial", 1, 1, 0)),
        ("ray", "members.folds=5", 2, 0, Arrangement("ray", 5, 1, None)),
        ("ray", "members.cpus=4 members.gpus=0.5", 2, 0, Arrangement("ray", 1, 4, 0.5)),
    ],
)
def test_members_share_the_machine(
    executor: str, changes: str, cores: int, gpus: int, expected: Arrangement
) -> None:
    assert arrange(executor, load("bn_cnn", changes), cores, gpus) == expected


def test_each_worker_sees_one_gpu_and_every_gpu_is_used() -> None:
    assert [processes.gpu_of(slot, 3, {}) for slot in range(3)] == ["0", "1", "2"]
    assert [processes.gpu_of(slot, 2, {}) for slot in range(4)] == ["0", "1", "0", "1"]
    visible = {"CUDA_VISIBLE_DEVICES": "2, 5"}
    assert [processes.gpu_of(slot, 2, visible) for slot in range(3)] == ["2", "5", "2"]
