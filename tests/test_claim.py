"""One process at a time works on a run, and others see whether that process still lives."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.common.errors import ClaimedError, LostRunError, PipelineError
from pipeline.runs import Run, RunStore, claim
from tests.alone import training_record
from tests.commands import REPOSITORY, wait_until

WORK = """
import sys, time
from pathlib import Path
from pipeline.runs import RunStore
run = RunStore(Path(sys.argv[1])).find(sys.argv[2])
with run.held(), run.in_progress():
    print("working", flush=True)
    time.sleep(60)
"""


@contextmanager
def working(store: RunStore, run: Run) -> Iterator[subprocess.Popen[str]]:
    """Have another process work on the run, and kill it at the end."""
    command = [sys.executable, "-c", WORK, str(store.folder), run.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout
        assert process.stdout.readline() == "working\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_with_the_name_of_the_first(store: RunStore) -> None:
    run = store.create(training_record(status="pending"))
    with working(store, run) as process:
        own = store.find(run.id)
        assert own.state() == "running"
        where = f"process {process.pid} on {socket.gethostname()}"
        message = f"run {run.id} is being worked on by {where};"
        with pytest.raises(PipelineError, match=message), own.held():
            pass
        assert store.find(run.id).record.process == process.pid, "the record must stay"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert store.find(run.id).state() == "interrupted"
    with own.held(), own.in_progress():
        assert store.find(run.id).state() == "running"
        assert store.find(run.id).record.process == os.getpid()
    assert store.find(run.id).state() == "done"


def test_a_reused_process_id_does_not_look_alive(store: RunStore) -> None:
    run = store.create(training_record())
    with working(store, run):
        pass
    run.record.process = os.getpid()
    run.save()
    assert store.find(run.id).state() == "interrupted"


def wait_for_heartbeat(path: Path, after: float) -> None:
    """Wait until the file is newer than `after`, in seconds since 1970."""
    wait_until(lambda: path.stat().st_mtime >= after + 1, "no heartbeat", seconds=5)


def test_a_process_on_another_host_is_known_by_its_heartbeat(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "RENEWED_EVERY", 0.05)
    run = store.create(training_record())
    path = run.folder / claim.FILE
    with claim.claimed(run.folder):
        old = time.time() - 2 * claim.STALE_AFTER
        os.utime(path, (old, old))
        wait_for_heartbeat(path, after=old)
    path.write_text('{"host": "elsewhere", "process": 1}')
    assert claim.is_alive(run.folder, "elsewhere", 1)
    os.utime(path, (old, old))
    assert not claim.is_alive(run.folder, "elsewhere", 1)


def test_a_sleeping_process_keeps_the_run_where_its_lock_is_seen(store: RunStore) -> None:
    run = store.create(training_record())
    path = run.folder / claim.FILE
    with claim.claimed(run.folder):
        path.write_text('{"host": "elsewhere", "process": 1}')  # as that host sees it
        os.utime(path, (0, 0))
        assert claim.is_alive(run.folder, "elsewhere", 1)
        with pytest.raises(ClaimedError), claim.claimed(run.folder):
            pass


def test_a_process_that_wakes_up_leaves_the_claim_of_another_host_alone(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "RENEWED_EVERY", 0.02)
    run = store.create(training_record())
    path = run.folder / claim.FILE
    with claim.claimed(run.folder):
        path.write_text(theirs := '{"host": "elsewhere", "process": 7}')
        time.sleep(0.2)
        os.utime(path, (0, 0))
        time.sleep(0.2)
        assert path.stat().st_mtime == 0, "its heartbeat would keep a dead process alive"
    assert path.read_text() == theirs


def test_a_run_that_another_host_has_had_meanwhile_is_not_written_to(store: RunStore) -> None:
    run = store.create(training_record(status="pending"))

    def work() -> None:
        with run.held(), run.in_progress():
            path = run.folder / claim.FILE
            path.write_text('{"host": "elsewhere", "process": 7}')
            theirs = store.find(run.id)
            theirs.record.status = "done"
            theirs.save()
            path.write_text("")  # it has left the run again
            run.write(run.folder / "test.npz", b"from old checkpoints")

    with pytest.raises(LostRunError, match="another process has taken it over"):
        work()
    assert store.find(run.id).record.status == "done"
    assert not (run.folder / "test.npz").exists()


def test_a_run_that_another_host_has_removed_is_not_made_anew(store: RunStore) -> None:
    run = store.create(training_record(status="pending"))

    def work() -> None:
        with run.held(), run.in_progress():
            shutil.rmtree(run.folder)
            run.save()

    with pytest.raises(LostRunError):
        work()
    assert not run.folder.exists()


def test_a_heartbeat_from_the_future_counts_while_it_goes_on(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "RENEWED_EVERY", 2)
    path = store.create(training_record()).folder / claim.FILE
    path.write_text('{"host": "elsewhere", "process": 7}')
    tomorrow = time.time() + 86_400
    os.utime(path, (tomorrow, tomorrow))
    assert not claim.is_claimed(path.parent)
    beats = threading.Timer(1, os.utime, (path, (tomorrow + 1, tomorrow + 1)))
    beats.start()
    assert claim.is_claimed(path.parent)
    beats.join()


def test_the_record_is_read_again_when_the_run_is_held(store: RunStore) -> None:
    run = store.create(training_record(status="pending"))
    stale = store.find(run.id)
    with run.held(), run.in_progress():
        pass
    assert stale.state() == "pending"
    with stale.held():
        assert stale.state() == "done"


def test_a_process_on_another_host_keeps_the_run_while_its_heartbeat_is_fresh(
    store: RunStore,
) -> None:
    run = store.create(training_record())
    path = run.folder / claim.FILE
    path.write_text('{"host": "elsewhere", "process": 7}')
    message = "being worked on by process 7 on elsewhere"
    with pytest.raises(PipelineError, match=message), claim.claimed(run.folder):
        pass
    old = time.time() - 2 * claim.STALE_AFTER
    os.utime(path, (old, old))
    with claim.claimed(run.folder):
        assert socket.gethostname() in path.read_text()
    assert path.read_text() == "", "other hosts need not wait"


def test_the_heartbeat_continues_after_a_renewal_that_failed(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "RENEWED_EVERY", 0.02)
    run = store.create(training_record())
    path, moved = run.folder / claim.FILE, run.folder / "moved"
    with claim.claimed(run.folder):
        path.rename(moved)
        time.sleep(0.2)
        moved.rename(path)
        old = time.time() - 100
        os.utime(path, (old, old))
        wait_for_heartbeat(path, after=old)


def test_a_look_at_the_state_does_not_keep_a_worker_out(store: RunStore) -> None:
    run = store.create(training_record(status="running"))
    with working(store, run):
        pass
    for _ in range(50):
        assert not claim.is_alive(run.folder, socket.gethostname(), 1)
        with claim.claimed(run.folder):
            assert claim.is_alive(run.folder, socket.gethostname(), 1)
    # The look of another process, which holds its shared lock while the worker asks for the run.
    with (run.folder / claim.FILE).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        release = threading.Timer(0.05, fcntl.flock, (file, fcntl.LOCK_UN))
        release.start()
        with claim.claimed(run.folder):
            release.join()
