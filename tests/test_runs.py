"""The run folder: states, names, and records that are whole or absent."""

import json
import re
import socket
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import recipe
from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.runs import (
    AverageRecord,
    Member,
    Run,
    RunStore,
    as_json,
    describe,
    describe_all,
    unreadable_as_json,
)
from tests.alone import training_record


def test_a_record_is_read_back_as_it_was_written(store: RunStore) -> None:
    run = store.create(training_record())
    run.record.members = [Member(index=0, seed=0, epochs=3, seconds=1.5, checkpoints=[])]
    run.save()
    assert store.find(run.id).record == run.record
    assert json.loads((run.folder / "run.json").read_text())["schema_version"] == 3


def test_a_second_run_of_the_same_name_gets_a_number(store: RunStore) -> None:
    names = [store.create(training_record()).id for _ in range(3)]
    assert names == [f"quick-s0-12345678{ending}" for ending in ("", "-2", "-3")]
    # A whole name finds its own run, even where other names begin with it.
    assert store.find("quick-s0-12345678").id == names[0]


def test_a_run_that_cannot_be_saved_leaves_no_folder_nor_takes_a_name(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Run) -> None:
        (run.folder / ".run-12345678.json").write_text("half")
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Run, "save", full)
        with pytest.raises(OSError, match="disk full"):
            store.create(training_record(), network_source="x = 1")
    assert list(store.folder.iterdir()) == []
    (store.folder / "quick-s0-12345678").mkdir()  # as a process leaves it that is killed then
    assert store.create(training_record()).id == "quick-s0-12345678"


def test_only_finished_runs_are_found_by_identity_newest_first(store: RunStore) -> None:
    first, second, running = (store.create(training_record(identity="same")) for _ in range(3))
    for run in (first, second):
        with run.in_progress():
            pass
    assert [run.id for run in store.with_identity("same")] == [second.id, first.id]
    assert running.state() == "running"


def test_a_run_is_found_by_a_unique_beginning_of_its_name(store: RunStore) -> None:
    for name in ("quick-s0-aaaa", "quick-s1-bbbb"):
        store.create(training_record(name))
    assert store.find("quick-s1").id == "quick-s1-bbbb"
    assert store.find("runs/quick-s1-bbbb/").id == "quick-s1-bbbb"
    with pytest.raises(PipelineError, match="it fits quick-s0-aaaa, quick-s1-bbbb"):
        store.find("quick")
    with pytest.raises(PipelineError, match="RUN is 'bn': no run begins with it"):
        store.find("bn")


@pytest.mark.parametrize("name", ["", ".", "..", "/", "./", "*", "quick*", "quick\0", "\x1b[31m"])
def test_what_is_no_beginning_of_a_name_selects_no_run(name: str, store: RunStore) -> None:
    store.create(training_record())
    with pytest.raises(PipelineError, match=r"RUN is .*: no run begins with it; give") as error:
        store.find(name)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", "Ctrl-C"),
        (PipelineError("loss became nan"), "failed", "PipelineError: loss became nan"),
        (MemoryError(), "failed", "MemoryError: "),
    ],
)
def test_how_a_run_ends_is_recorded(
    store: RunStore, error: BaseException, status: str, reason: str
) -> None:
    run = store.create(training_record())
    with pytest.raises(type(error)), run.in_progress():
        raise error
    stored = store.find(run.id)
    assert (stored.state(), stored.record.reason) == (status, reason)


def test_a_run_whose_process_is_gone_is_interrupted(store: RunStore) -> None:
    run = store.create(training_record())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    run.record.process = process.pid
    run.save()
    assert store.find(run.id).state() == "interrupted"


def test_the_states_of_members_are_described(store: RunStore) -> None:
    heartbeat = (datetime.now(UTC) - timedelta(seconds=90)).isoformat(timespec="seconds")
    running = {"host": socket.gethostname(), "process": 77, "heartbeat": heartbeat, "epochs": 3}
    members = [
        Member(index=0, seed=0),
        Member(index=1, seed=0, status="running", **running),
        Member(index=2, seed=0, status="failed", reason="loss became nan"),
        Member(index=3, seed=0, status="pending"),
    ]
    run = store.create(training_record(status="pending", members=members))
    with run.held(), run.in_progress():
        lines = describe(run)
        assert lines[0].startswith(f"{run.id}  running  ")
        assert lines[1] == "  4 members: 1 done, 1 running, 1 failed, 1 pending"
        where = f"process 77 on {socket.gethostname()}"
        expected = rf"  member 2: running, 3 epochs done, {where}, last report 9[0-9] s ago"
        assert re.fullmatch(expected, lines[2])
        assert lines[3:] == ["  member 3: failed: loss became nan"]
        run.record.process += 1  # that of a process that was killed
        killed = run.record.model_copy(deep=True)
    killed.status = "running"
    run.record = killed
    assert run.state() == "interrupted"
    assert describe(run)[1] == "  4 members: 1 done, 1 interrupted, 1 failed, 1 pending"
    assert as_json(run)["members"][1]["status"] == "interrupted"


def test_the_size_of_a_folder_counts_what_is_in_it_and_follows_no_link(store: RunStore) -> None:
    assert describe_all([], []) == "no runs yet; make submit makes one"
    run = store.create(training_record(status="done", reason="a reason"))
    checkpoint = run.member_folder(0) / "checkpoints" / "a.keras"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"x" * 2_000_000)
    damaged = store.folder / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_text("x" * 1_000)
    link = damaged / "link"
    link.symlink_to(checkpoint)
    record = (run.folder / "run.json").stat().st_size
    expected = f"{run.id}  done  {run.record.created_at}  2.0 MB  a reason"
    assert describe(run) == [expected]
    assert as_json(run)["bytes"] == 2_000_000 + record
    assert unreadable_as_json(damaged, "not JSON")["bytes"] == 1_000 + link.lstat().st_size
    assert describe_all([run], []) == "1 run, 2.0 MB in all"
    assert describe_all([run], [damaged]) == "2 runs, 1 of them unreadable, 2.0 MB in all"


def test_a_running_only_member_is_described_with_its_process(store: RunStore) -> None:
    heartbeat = datetime.now(UTC).isoformat(timespec="seconds")
    member = Member(index=0, seed=0, status="running", epochs=3, process=77, heartbeat=heartbeat)
    run = store.create(training_record(status="pending", members=[member]))
    with run.held(), run.in_progress():
        assert describe(run)[1].startswith("  running, 3 epochs done, process 77 on ")
    assert len(describe(run)) == 1


def test_unfinished_files_of_a_killed_process_are_removed(store: RunStore) -> None:
    run = store.create(training_record(status="pending"))
    checkpoints = run.member_folder(0) / "checkpoints"
    (checkpoints / ".partial").mkdir(parents=True)
    unfinished = [run.folder / ".run-ab.json", run.member_folder(0) / ".resume-cd.npz"]
    kept = checkpoints / "epoch-001.keras"
    for path in (*unfinished, checkpoints / ".partial" / "epoch-002.keras", kept):
        path.touch()
    usual = tempfile.gettempdir()
    with run.held():
        of_a_library = Path(tempfile.mkdtemp())
        assert of_a_library.is_relative_to(run.folder.absolute()), "so that the next one finds it"
    assert not any(path.exists() for path in (*unfinished, checkpoints / ".partial", of_a_library))
    assert kept.exists()
    assert tempfile.gettempdir() == usual


VERSION_1 = {
    "schema_version": 1,
    "id": "quick-s0-12345678",
    "identity": "i" * 64,
    "status": "done",
    "reason": "",
    "recipe": json.loads(recipe.load("quick", "members.folds=2").model_dump_json()),
    "recipe_name": "quick",
    "seed": 0,
    "parents": [],
    "source": "practice",
    "practice_seed": 0,
    "data_fingerprint": "d" * 64,
    "split_fingerprint": "s" * 64,
    "code_fingerprint": "c" * 64,
    "versions": {"python": "3.11.7"},
    "git": {"commit": "a" * 40, "dirty": False},
    "hardware": {"cores": 2, "precision": "float32"},
    "host": "here",
    "process": 7,
    "created_at": "2026-11-22T19:44:59+00:00",
    "timings": {"training_seconds": 60.0},
    "members": [
        {
            **{"index": number, "fold": number, "seed": 0, "status": "done", "reason": ""},
            **{"draw": number, "host": "here", "process": 7, "device": "2 CPU cores, float32"},
            **{"heartbeat": "", "parameters": 61578, "epochs": 3, "seconds": 30.5},
            "checkpoints": [
                {"file": "a.keras", "epoch": 3, "val_accuracy": 0.99, "val_loss": 0.04}
            ],
        }
        for number in (0, 1)
    ],
    "scores": {
        **{"validation_accuracy": 0.99, "validation_rows": 6300, "interval": [0.98, 0.995]},
        **{"log_loss": 0.05, "test_accuracy": None, "test_rows": 0, "test_interval": None},
        **{"training_accuracy": None, "precision": "float32"},
    },
}
"""A run.json of schema version 1."""


def write_version_1(store: RunStore, **changes: object) -> Run:
    values = {**VERSION_1, **changes}
    path = store.folder / str(values["id"]) / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(values))
    return store.find(path.parent.name)


def test_a_record_of_version_1_is_read(store: RunStore) -> None:
    run = write_version_1(store)
    assert run.training.recipe == recipe.load("quick", "members.folds=2")
    assert [member.attempt for member in run.record.members] == [0, 1]
    assert run.training.hardware == VERSION_1["hardware"]
    assert run.record.scores is not None
    assert run.record.scores.interval == (0.98, 0.995)
    run.save()
    assert json.loads((run.folder / "run.json").read_text())["schema_version"] == 3
    assert store.find(run.id).record == run.record


@pytest.mark.parametrize(("folds", "one_fold_per_row"), [(0, True), (2, False)])
def test_an_average_of_version_1_becomes_a_record_of_its_own_kind(
    folds: int, one_fold_per_row: bool, store: RunStore
) -> None:
    settings = recipe.load("quick", f"members.folds={folds}").model_dump(mode="json")
    run = write_version_1(store, parents=["a", "b"], recipe=settings)
    assert isinstance(run.record, AverageRecord)
    assert run.record.parents == ["a", "b"]
    assert run.record.one_fold_per_row is one_fold_per_row
    assert run.record.checkpoint_count == 2
    with pytest.raises(PipelineError, match="averages a and b and has no network of its own"):
        _ = run.training


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    files.write_text(target, "old")

    def fail() -> None:
        with files.replacing(target) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
