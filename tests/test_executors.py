"""Members side by side: the same numbers wherever they are trained, whoever dies meanwhile."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from pipeline.training.events import Began, EpochEnded, Failed, Finished, StepEnded
from tests.bench.kills import differences
from tests.commands import REPOSITORY, Command, command

SETTINGS = (
    "members.folds=3 training.batch_size=50 checkpoints.keep_best=2 training.deterministic=true"
)
EPOCHS = 8


@contextmanager
def ensemble(
    root: Path, data: Path, executor: str, seed: int = 0, **variables: str
) -> Iterator[Command]:
    """`make ensemble` of three small members at work in `root`."""
    changes = f"{SETTINGS} training.epochs={EPOCHS}"
    arguments = ["--recipe", "mlp_50", "--set", changes, "--source", str(data), "--seed", str(seed)]
    with command(root, "ensemble", *arguments, "--executor", executor, **variables) as running:
        yield running


@pytest.fixture(scope="module")
def serial(small_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose members were trained one after another, undisturbed."""
    root = tmp_path_factory.mktemp("serial")
    with ensemble(root, small_digits, "serial") as running:
        running.finish()
    return root


@pytest.mark.slow
def test_two_runs_at_once_do_not_disturb_each_other(
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


def lives(process: int) -> bool:
    """Return whether a process runs. Zombies do not count."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def await_that(holds: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def await_death(process: int) -> None:
    await_that(lambda: not lives(process), f"process {process} still runs")


@pytest.mark.slow
def test_a_killed_worker_costs_its_member_no_finished_epoch_and_the_others_nothing(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    with ensemble(tmp_path / "killed", small_digits, "processes") as running:
        running.until(r"member 1/3  epoch  3/")
        (victim,) = [one for one in running.record()["members"] if one["index"] == 0]
        assert victim["process"] != running.process.pid
        os.kill(victim["process"], signal.SIGKILL)
        printed = running.finish()
    assert "failed: the member's process ended before it was done (SIGKILL(-9))" in printed
    assert "member 1/3: trying again\n" in printed
    assert re.search(r"member 1/3, fold 1 of 3: continuing after epoch [3-8]\n", printed)
    assert printed.count("continuing after epoch") == 1
    assert [one["status"] for one in running.record()["members"]] == ["done"] * 3
    assert differences(serial, running.root) == []


def test_a_worker_that_raises_says_so_and_one_that_died_idle_is_replaced(
    labelled: Digits, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", labelled.images)
    np.save(tmp_path / "labels.npy", labelled.labels)
    split = hold_out(labelled.labels, 0.25, 0, "d" * 64)
    beyond = replace(split, train_rows=np.array([10**6]))
    settings = load("mlp_50", "training.epochs=1 training.precision=float32")
    task = Task(settings, Member(index=0, seed=0), split, threads=1)
    slot = processes.WorkerSlot(tmp_path, {})
    try:
        slot.start(replace(task, split=beyond))
        failed = slot.receive()
        assert isinstance(failed, Failed)
        assert failed.reason.startswith("IndexError: index 1000000 is out of bounds")
        assert "Traceback" in failed.trace
        (worker,) = slot.pool._processes
        os.kill(worker, signal.SIGKILL)
        await_death(worker)
        await_that(lambda: slot.pool._flags.broken, "loky did not notice the death")
        slot.start(task)
        told = [slot.receive()]
        while slot.task:
            told.append(slot.receive())
        assert [type(one) for one in told if not isinstance(one, StepEnded)] == [
            *[Began, EpochEnded, Finished]
        ]
    finally:
        slot.close()


@pytest.mark.slow
def test_workers_die_with_the_process_that_holds_the_run(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    root = tmp_path / "killed"
    with ensemble(root, small_digits, "processes") as running:
        running.until(r"member \d/3  epoch  2/")
        workers = [one["process"] for one in running.record()["members"] if one["process"]]
        assert workers
        running.process.kill()
        running.process.wait()
        for worker in workers:
            await_death(worker)
    (run,) = RunStore(root / "runs").all()
    assert run.state() == "interrupted"
    assert {one.status for one in run.members()} <= {"interrupted", "pending", "done"}
    with ensemble(root, small_digits, "processes") as again:
        assert "continuing after epoch" in again.finish()
    assert differences(serial, root) == []


def test_ctrl_c_ends_driver_and_workers_and_loses_no_epoch(
    small_digits: Path, tmp_path: Path
) -> None:
    with ensemble(tmp_path, small_digits, "processes") as running:
        running.until(r"member \d/3  epoch  2/")
        workers = [one["process"] for one in running.record()["members"] if one["process"]]
        os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does: to all of them
        running.process.wait(timeout=30)
        for worker in workers:
            await_death(worker)
        assert running.errors().splitlines()[-1] == "interrupted"
    assert running.process.returncode == 130
    record = running.record()
    assert record["status"] == "interrupted"
    assert "running" not in {one["status"] for one in record["members"]}
    with ensemble(tmp_path, small_digits, "processes") as again:
        printed = again.finish()
    begun = [one for one in record["members"] if 0 < one["epochs"] < EPOCHS]
    assert begun
    for one in begun:
        told = f"member {one['index'] + 1}/3, fold {one['fold'] + 1} of 3: continuing after epoch"
        assert f"{told} {one['epochs']}\n" in printed


@contextmanager
def ray_cluster(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A cluster that lets in who has the token, which lies in the folder `home`."""
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
def test_a_machine_of_a_ray_cluster_that_dies_costs_no_finished_epoch(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    root, home = tmp_path / "ray", tmp_path / "home"
    with ray_cluster(home) as cluster:
        assert cluster.stdin
        assert cluster.stdout
        address = cluster.stdout.readline().split()[1]
        reach = {"RAY_ADDRESS": address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        without = str(tmp_path / "nobody")
        with ensemble(tmp_path, small_digits, "ray", 0, HOME=without, **reach) as refused:
            refused.process.wait(timeout=120)
            assert "where no Ray cluster can be used" in refused.errors()
        with ensemble(root, small_digits, "ray", 0, HOME=str(home), **reach) as running:
            line = running.until(r"member \d/3  epoch  3/")
            index = int(line.split("/")[0].removeprefix("member ")) - 1
            victim = running.record()["members"][index]
            cluster.stdin.write(f"{victim['process']}\n")
            cluster.stdin.flush()
            printed = running.finish()
        assert cluster.stdout.readline() == "killed\n"
    assert f"member {index + 1}/3 failed: the member's Ray task was lost" in printed
    assert f"member {index + 1}/3: trying again" in printed
    assert [one["status"] for one in running.record()["members"]] == ["done"] * 3
    assert differences(serial, root) == []


@pytest.mark.slow
def test_ray_on_this_machine_holds_the_numbers_of_serial(
    serial: Path, small_digits: Path, tmp_path: Path
) -> None:
    with ensemble(tmp_path, small_digits, "ray", RAY_ADDRESS="") as running:
        running.finish()
        workers = {one["process"] for one in running.record()["members"]}
    assert running.process.pid not in workers
    assert differences(serial, tmp_path) == []
    for worker in workers:
        await_death(worker)


def test_an_address_without_a_ray_cluster_is_named(small_digits: Path, tmp_path: Path) -> None:
    with ensemble(tmp_path, small_digits, "ray", RAY_ADDRESS="127.0.0.1:9") as running:
        running.process.wait()
        (line,) = [one for one in running.errors().splitlines() if one.startswith("error: ")]
    assert running.process.returncode == 1
    assert "RAY_ADDRESS is '127.0.0.1:9', where no Ray cluster can be used" in line


def test_an_unknown_executor_is_named() -> None:
    with pytest.raises(PipelineError, match="EXECUTOR is 'gpu'; use one of auto, serial, proc"):
        Request(executor="gpu")


def test_ray_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match="Ray is not installed; make setup EXECUTOR=ray"):
        queue.find_executor("ray")


def test_a_machine_with_other_libraries_is_named() -> None:
    wanted = {**provenance.versions(), "tensorflow": "1.0"}
    with pytest.raises(PipelineError, match=r"tensorflow 2[0-9.]+, where the run has 1\.0;"):
        ray.check_versions(wanted)


@pytest.mark.parametrize(
    ("executor", "changes", "cores", "gpus", "expected"),
    [
        # One member has the whole machine, several share its cores.
        ("auto", "", 8, 0, Arrangement("serial", 1, None, 0)),
        ("auto", "members.folds=5", 1, 0, Arrangement("serial", 1, None, 0)),
        ("auto", "members.folds=5", 2, 0, Arrangement("processes", 2, 1, 0)),
        ("auto", "members.folds=5", 16, 0, Arrangement("processes", 5, 3, 0)),
        ("auto", "members.folds=5 members.seeds=3", 8, 0, Arrangement("processes", 8, 1, 0)),
        ("auto", "members.folds=5 members.cpus=4", 8, 0, Arrangement("processes", 2, 4, 0)),
        ("processes", "", 2, 0, Arrangement("processes", 1, 2, 0)),
        ("serial", "members.folds=5", 8, 0, Arrangement("serial", 1, None, 0)),
        # Several GPUs train a member each, or more where they share one; a single one is no reason
        # for another process.
        ("auto", "members.folds=5", 16, 1, Arrangement("serial", 1, None, 1)),
        ("auto", "members.folds=5", 16, 4, Arrangement("processes", 4, 4, 1)),
        ("auto", "members.folds=5 members.gpus=0.5", 16, 1, Arrangement("processes", 2, 8, 0.5)),
        ("auto", "members.folds=5 members.gpus=0", 16, 4, Arrangement("processes", 5, 3, 0)),
        # Numbers that can be repeated need a number of threads that is known.
        ("auto", "training.deterministic=true", 8, 0, Arrangement("serial", 1, 1, 0)),
        ("ray", "members.folds=5", 2, 0, Arrangement("ray", 5, 1, None)),
        ("ray", "members.cpus=4 members.gpus=0.5", 2, 0, Arrangement("ray", 1, 4, 0.5)),
    ],
)
def test_members_share_the_machine(
    executor: str, changes: str, cores: int, gpus: int, expected: Arrangement
) -> None:
    assert arrange(executor, load("bn_cnn", changes), cores, gpus) == expected


def test_each_worker_sees_one_gpu_and_none_is_idle() -> None:
    assert [processes.gpu_of(slot, 3, {}) for slot in range(3)] == ["0", "1", "2"]
    assert [processes.gpu_of(slot, 2, {}) for slot in range(4)] == ["0", "1", "0", "1"]
    visible = {"CUDA_VISIBLE_DEVICES": "2, 5"}
    assert [processes.gpu_of(slot, 2, visible) for slot in range(3)] == ["2", "5", "2"]
