"""One process at a time works on a run, and a run whose process is gone does not look alive."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.runs import Run, RunStore, claim
from tests.alone import training_record

REPOSITORY = Path(__file__).parents[1]
WORK = """
import sys, time
from pathlib import Path
from pipeline.runs import RunStore
run = RunStore(Path(sys.argv[1])).find(sys.argv[2])
with run.held(), run.in_progress():
    print("working", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@contextmanager
def working(store: RunStore, run: Run) -> Iterator[subprocess.Popen[str]]:
    """Another process at work on the run, killed at the end."""
    command = [sys.executable, "-c", WORK, str(store.folder), run.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout
        assert process.stdout.readline() == "working\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_of_the_first(store: RunStore) -> None:
    run = store.create(training_record(status="pending"))
    with working(store, run) as process:
        own = store.find(run.id)
        assert own.state() == "running"
        where = f"process {process.pid} on {socket.gethostname()}"
        with pytest.raises(PipelineError, match=f"run {run.id} is being worked on by {where};"):
            own.held().__enter__()
        assert store.find(run.id).record.process == process.pid, "the record is the first one's"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert store.find(run.id).state() == "interrupted"
    with own.held(), own.in_progress():
        assert store.find(run.id).state() == "running"
        assert store.find(run.id).record.process == os.getpid()
    assert store.find(run.id).state() == "done"


def test_a_reused_process_number_does_not_look_alive(store: RunStore) -> None:
    run = store.create(training_record())
    with working(store, run):
        pass
    run.record.process = os.getpid()
    run.save()
    assert store.find(run.id).state() == "interrupted"


def await_a_beat(path: Path, after: float) -> None:
    """Wait until the file's time is later than `after`, seconds since 1970."""
    deadline = time.monotonic() + 5
    while path.stat().st_mtime < after + 1:
        assert time.monotonic() < deadline, "the heart does not beat"
        time.sleep(0.01)


def test_a_process_on_another_host_is_known_by_its_heartbeat(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "RENEWED_EVERY", 0.05)
    run = store.create(training_record())
    path = run.folder / claim.FILE
    with claim.claimed(run.folder):
        old = time.time() - 2 * claim.STALE_AFTER
        os.utime(path, (old, old))
        await_a_beat(path, after=old)
        assert claim.is_alive(run.folder, "elsewhere", 1)
    os.utime(path, (old, old))
    assert not claim.is_alive(run.folder, "elsewhere", 1)


def test_a_record_is_read_again_once_the_run_is_held(store: RunStore) -> None:
    run = store.create(training_record(status="pending"))
    stale = store.find(run.id)
    with run.held(), run.in_progress():
        pass
    assert stale.state() == "pending"
    with stale.held():
        assert stale.state() == "done"


def test_a_living_process_on_another_host_keeps_the_run(store: RunStore) -> None:
    run = store.create(training_record())
    path = run.folder / claim.FILE
    path.write_text('{"host": "elsewhere", "process": 7}')
    with pytest.raises(PipelineError, match="being worked on by process 7 on elsewhere"):
        claim.claimed(run.folder).__enter__()
    old = time.time() - 2 * claim.STALE_AFTER
    os.utime(path, (old, old))
    with claim.claimed(run.folder):
        assert socket.gethostname() in path.read_text()
    assert path.read_text() == "", "another host may have it at once"


def test_the_heart_goes_on_beating_after_a_failure(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "RENEWED_EVERY", 0.02)
    run = store.create(training_record())
    path, aside = run.folder / claim.FILE, run.folder / "aside"
    with claim.claimed(run.folder):
        path.rename(aside)
        time.sleep(0.2)
        aside.rename(path)
        old = time.time() - 100
        os.utime(path, (old, old))
        await_a_beat(path, after=old)


def test_glances_do_not_keep_a_worker_out(store: RunStore) -> None:
    run = store.create(training_record(status="running"))
    with working(store, run):
        pass
    for _ in range(50):
        assert not claim.is_alive(run.folder, socket.gethostname(), 1)
        with claim.claimed(run.folder):
            assert claim.is_alive(run.folder, socket.gethostname(), 1)
