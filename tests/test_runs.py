"""The run folder: states that tell the truth, names, records that are whole or absent."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import files
from pipeline.errors import PipelineError
from pipeline.runs import Member, Record, Run, RunStore


def record(name: str = "quick-s0-12345678", **changes: object) -> Record:
    values = {
        "id": name,
        "identity": name,
        "status": "running",
        "recipe": {},
        "recipe_name": "quick",
        "seed": 0,
        "source": "practice",
        "practice_seed": 0,
        "data_fingerprint": "d" * 64,
        "split_fingerprint": "s" * 64,
        "code_fingerprint": "c" * 64,
        "versions": {},
        "git": {},
    }
    return Record.model_validate({**values, **changes})


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_a_record_is_read_back_as_it_was_written(store: RunStore) -> None:
    made = store.create(record())
    made.record.members = [Member(index=0, seed=0, epochs=3, seconds=1.5, checkpoints=[])]
    made.save()
    assert store.find(made.id).record == made.record
    assert json.loads((made.folder / "run.json").read_text())["schema_version"] == 1


def test_a_second_run_of_the_same_name_gets_a_number(store: RunStore) -> None:
    names = [store.create(record()).id for _ in range(3)]
    assert names == [f"quick-s0-12345678{ending}" for ending in ("", "-2", "-3")]
    # The first name is the beginning of the others, and yet names one run.
    assert store.find("quick-s0-12345678").id == names[0]


def test_only_finished_runs_are_found_by_identity_newest_first(store: RunStore) -> None:
    first, second, running = (store.create(record(identity="same")) for _ in range(3))
    for run in (first, second):
        with run.worked_on():
            pass
    assert [run.id for run in store.with_identity("same")] == [second.id, first.id]
    assert running.state() == "running"


def test_prefixes(store: RunStore) -> None:
    for name in ("quick-s0-aaaa", "quick-s1-bbbb"):
        store.create(record(name))
    assert store.find("quick-s1").id == "quick-s1-bbbb"
    assert store.find("runs/quick-s1-bbbb/").id == "quick-s1-bbbb"
    with pytest.raises(PipelineError, match="it fits quick-s0-aaaa, quick-s1-bbbb"):
        store.find("quick")
    with pytest.raises(PipelineError, match="RUN is 'bn': no run begins so"):
        store.find("bn")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", "Ctrl-C"),
        (PipelineError("loss became nan"), "failed", "PipelineError: loss became nan"),
        (MemoryError(), "failed", "MemoryError: "),
    ],
)
def test_the_way_a_run_ends_is_recorded(
    store: RunStore, error: BaseException, status: str, reason: str
) -> None:
    run = store.create(record())
    with pytest.raises(type(error)), run.worked_on():
        raise error
    found = store.find(run.id)
    assert (found.state(), found.record.reason) == (status, reason)


def test_a_run_whose_process_is_gone_is_interrupted(store: RunStore) -> None:
    run = store.create(record())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    run.record.process = process.pid
    run.save()
    assert store.find(run.id).state() == "interrupted"


def test_damaged_records_and_arrays_are_named(store: RunStore) -> None:
    run = store.create(record())
    with pytest.raises(PipelineError, match=r"validation\.npz cannot be read.*make ensemble RUN="):
        run.load_arrays("validation")
    run.save_arrays("validation", rows=np.arange(1000))
    whole = (run.folder / "validation.npz").read_bytes()
    flipped = whole[:100] + bytes(255 - byte for byte in whole[100:200]) + whole[200:]
    for content in (b"", b"PK\x03\x04 cut", whole[:-50], flipped):
        (run.folder / "validation.npz").write_bytes(content)
        with pytest.raises(PipelineError, match=r"validation\.npz cannot be read"):
            run.load_arrays("validation")
    (run.folder / "run.json").write_text("{")
    with pytest.raises(PipelineError, match=r"run\.json is not a run record of schema 1"):
        store.all()


def test_arrays_are_read_back(store: RunStore) -> None:
    run: Run = store.create(record())
    run.save_arrays("test", rows=np.arange(3), probabilities=np.eye(3, 10, dtype=np.float32))
    np.testing.assert_array_equal(run.load_arrays("test")["rows"], [0, 1, 2])
    assert not run.has_probabilities()


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
