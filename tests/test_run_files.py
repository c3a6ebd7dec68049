"""Damaged and hostile files of a run: each is named in one line, and costs no other run."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.common.errors import PipelineError
from pipeline.runs import Checkpoint, DamagedArraysError, Member, Run, RunStore, Scores, describe
from pipeline.runs.arrays import LARGEST
from tests.alone import training_record

SAVED = Checkpoint(file="a.keras", epoch=1, val_accuracy=0.9, val_loss=0.1)
ROWS, LABELS = np.arange(20), np.arange(20, dtype=np.uint8) % 10
PROBABILITIES = np.eye(10, dtype=np.float32)[LABELS]


def make(store: RunStore, name: str) -> Run:
    """Make a run that is done, with arrays and scores."""
    members = [Member(index=0, seed=0, epochs=1, checkpoints=[SAVED])]
    scores = Scores(validation_accuracy=1, validation_rows=20, interval=(0.8, 1), log_loss=0)
    record = training_record(name, status="done", members=members, scores=scores)
    run = store.create(record)
    run.save_arrays("validation", rows=ROWS, labels=LABELS, probabilities=PROBABILITIES)
    run.save_arrays("test", rows=ROWS, probabilities=PROBABILITIES)
    run.save()
    return run


def changed(path: str, value: object) -> Callable[[bytes], bytes]:
    """Return a change of one value in run.json, given by its dotted path."""

    def change(content: bytes) -> bytes:
        tree = json.loads(content)
        *folders, key = [int(part) if part.isdigit() else part for part in path.split(".")]
        holder = tree
        for part in folders:
            holder = holder[part]
        holder[key] = value
        return json.dumps(tree).encode()

    return change


MEMBER = {"index": 0, "seed": 0}
RECORDS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "it is empty"),
    "cut off": (lambda content: content[:-80], "not JSON: "),
    "no text": (lambda _: b"\xff\xfe\x00", "it is not text"),
    "a list": (lambda _: b"[1]", "it holds no JSON object"),
    "nested": (lambda _: b"[" * 100_000, "nested too deeply"),
    "long number": (lambda _: b'{"schema_version": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
    "long file": (lambda _: b" " * 10_000_001, "it is longer than 10,000,000 bytes"),
    "version 0": (changed("schema_version", 0), "schema_version is 0; this version of the pipelin"),
    "version 4": (changed("schema_version", 4), "schema_version is 4; this version of the pipelin"),
    "version text": (changed("schema_version", "3\x1b[1m"), r"schema_version is '3\x1b[1m'; this"),
    "kind": (changed("kind", "other"), "does not match any of the expected tags"),
    "id up": (changed("id", "../../x"), "id is '../../x': String should match pattern"),
    "id dots": (changed("id", ".."), "id is '..': Value error, must be the name of a folder"),
    "id markup": (changed("id", "<script>"), "id is '<script>': String should match pattern"),
    "id long": (changed("id", "x" * 300), "String should have at most 255 characters"),
    "id of another": (changed("id", "other"), "id is 'other', which must be the name of its fol"),
    "checkpoint up": (changed("members.0.checkpoints.0.file", "../../a.keras"), "should match"),
    "no checkpoint": (changed("members.0.checkpoints.0.file", "a.py"), "should match pattern"),
    "accuracy": (changed("members.0.checkpoints.0.val_accuracy", 95.5), "less than or equal to 1"),
    "nan": (changed("members.0.checkpoints.0.val_loss", float("nan")), "should be a finite number"),
    "epoch": (changed("members.0.checkpoints.0.epoch", -1), "greater than or equal to 0"),
    "score": (changed("scores.validation_accuracy", float("inf")), "less than or equal to 1"),
    "index": (changed("members.0.index", 3), "member 0 has index 3 and fold 0"),
    "fold": (changed("members.0.fold", 1), "member 0 has index 0 and fold 1"),
    "twice": (changed("members", [MEMBER, MEMBER]), "member 1 has index 0"),
    "process": (changed("members.0.process", 10**30), "members.0.process is 10"),
    "heartbeat": (changed("members.0.heartbeat", "now"), "members.0.heartbeat is 'now'"),
    "no zone": (changed("members.0.heartbeat", "2026-01-01T00:00:00"), "must have a time zone"),
    "created": (changed("created_at", "2026-01-01\x1b00:00:00"), r"created_at is '2026-01-01\x1b"),
    "timing": (changed("timings", {"training_seconds": float("nan")}), "finite number"),
    "sum": (changed("sha256", {"test.npz": "0"}), "sha256.test.npz is '0'"),
    "source": (changed("source", "a\0b"), r"source is 'a\x00b'"),
    "unknown\nkey": (changed("more\nkeys", 1), r"more\nkeys is 1: Extra inputs are not permitted"),
}


@pytest.mark.parametrize(("change", "message"), RECORDS.values(), ids=RECORDS)
def test_a_wrong_record_is_named_in_one_line_and_left_out(
    change: Callable[[bytes], bytes], message: str, store: RunStore
) -> None:
    good, bad = make(store, "good"), make(store, "bad")
    path = bad.folder / "run.json"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(PipelineError) as error:
        store.find("bad")
    line = str(error.value)
    assert line.startswith(str(path))
    assert message in line
    assert line.isprintable()
    assert len(line) < 700
    warnings: list[str] = []
    store = RunStore(store.folder, warnings.append)
    for _ in range(2):  # named only once
        assert [run.id for run in store.all()] == [good.id]
    (warning,) = warnings
    assert warning.startswith(f"left out: {path}")
    assert list(store.unreadable) == ["bad"]


def test_a_run_without_its_record_is_named(store: RunStore) -> None:
    make(store, "good")
    (store.folder / "bad" / "members").mkdir(parents=True)
    (store.folder / "made-just-now").mkdir()
    assert [run.id for run in store.all()] == ["good"]
    assert list(store.unreadable) == ["bad"]
    assert "bad/run.json is missing; bring it back" in store.unreadable["bad"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_a_record_that_is_no_file_is_named(kind: str, store: RunStore) -> None:
    path = make(store, "bad").folder / "run.json"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    with pytest.raises(PipelineError, match=r"run\.json is not a run record \(|no run begins"):
        store.find("bad")
    assert store.all() == []


def test_texts_of_a_record_are_one_clean_line(store: RunStore) -> None:
    run = make(store, "hostile")
    path = run.folder / "run.json"
    for key in ("reason", "recipe_name", "host"):
        path.write_bytes(changed(key, "\x1b[31mred\n" + "x" * 229_000)(path.read_bytes()))
    (read,) = store.all()
    for text in (read.record.reason, read.record.recipe_name, read.record.host, *describe(read)):
        assert text.isprintable()
        assert len(text) < 700


Arrays = dict[str, NDArray[Any]]


def with_array(name: str, change: Callable[[NDArray[Any]], Any]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, name: np.asarray(change(arrays[name]))}


def first(value: object) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a change of an array's first entry."""

    def change(array: NDArray[Any]) -> NDArray[Any]:
        array = array.copy()
        array[0] = value
        return array

    return change


WRONG_ARRAYS: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "none": (lambda _: {}, "it holds no arrays, not"),
    "too few": (lambda arrays: {"rows": arrays["rows"]}, "it holds rows, not"),
    "too many": (lambda arrays: {**arrays, "x\x1b": ROWS}, r"it holds .*x\\x1b, not"),
    "no rows": (lambda arrays: {key: array[:0] for key, array in arrays.items()}, "0 rows|not non"),
    "fewer": (with_array("probabilities", lambda array: array[:-1]), r"\[20, 10\] is needed"),
    "columns": (with_array("probabilities", lambda array: array[:, :9]), r"\[20, 10\] is needed"),
    "a number": (with_array("probabilities", lambda _: 0.5), "float32 .* is needed"),
    "float64": (with_array("probabilities", lambda array: array.astype(float)), "float32 .* is ne"),
    "text": (with_array("probabilities", lambda array: array.astype(str)), "float32 .* is needed"),
    "complex": (with_array("probabilities", lambda array: array + 0j), "float32 .* is needed"),
    "nan": (with_array("probabilities", first(np.nan)), "must be 0 or more, in rows that sum to 1"),
    "infinite": (with_array("probabilities", first([-np.inf, np.inf] * 5)), "must be 0 or more"),
    "negative": (with_array("probabilities", first([2, -1, *[0] * 8])), "must be 0 or more"),
    "not 1": (with_array("probabilities", lambda array: array / np.float32(2)), "must be 0 or mor"),
    "rows twice": (with_array("rows", first(1)), "must be ascending"),
    "descending": (with_array("rows", lambda array: array[::-1]), "must be ascending"),
    "row -1": (with_array("rows", first(-1)), "must be ascending|must have the numbers"),
    "huge row": (with_array("rows", lambda array: array + 10**12), "ascending|have the numbers"),
    "rows [n, 1]": (
        with_array("rows", lambda array: array[:, None]),
        r"int64 \[20\] is needed|int",
    ),
    "float rows": (with_array("rows", lambda array: array.astype(float)), "integer .* is needed"),
}
WRONG_LABELS: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "label 10": (with_array("labels", first(10)), "0..9 is needed"),
    "few labels": (with_array("labels", lambda array: array[:-1]), "labels are"),
}
CASES = [
    *((name, *case) for name in ("validation", "test") for case in WRONG_ARRAYS.values()),
    *(("validation", *case) for case in WRONG_LABELS.values()),
    ("test", with_array("rows", lambda array: array * 2), "must have the numbers 0 to 19"),
]


@pytest.mark.parametrize(("name", "change", "message"), CASES)
def test_wrong_arrays_are_neither_read_nor_written(
    name: str, change: Callable[[Arrays], Arrays], message: str, store: RunStore
) -> None:
    run = make(store, "run")
    wrong, path = change(run.load_arrays(name)), run.folder / f"{name}.npz"
    before = path.read_bytes()
    with pytest.raises(PipelineError, match=rf"give no {name}\.npz \(.*({message})"):
        run.save_arrays(name, **wrong)
    assert path.read_bytes() == before
    run.record.sha256.clear()  # as in runs of earlier versions
    with path.open("wb") as file:
        np.savez(file, **wrong)  # type: ignore[arg-type]
    with pytest.raises(
        DamagedArraysError, match=rf"{name}\.npz is damaged \(.*({message})"
    ) as error:
        run.load_arrays(name)
    assert str(error.value).isprintable()


def archive(name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as file:
        file.writestr(name, content)
    return written.getvalue()


def claiming(shape: str, kind: str = "<f4") -> bytes:
    """Return an .npy file with this shape in its header, and no data."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"PK\x03\x04 cut", "damaged"),
        (archive("rows.npy", b"no array"), "it holds other files than arrays"),
        (archive("rows.npy", claiming("(1000000000000,)")), "damaged"),
        (archive("rows.npy", claiming("(-1,)")), "damaged"),
        (archive("rows.npy", claiming("(10,)", "|O")), "damaged"),
        (archive("rows.npy", claiming("(" * 5000)), "damaged"),
        (archive("rows.npy", b"\0" * (LARGEST + 1), zipfile.ZIP_DEFLATED), "it unpacks to 500,000"),
    ],
)
def test_damaged_archives_are_reported(content: bytes, message: str, store: RunStore) -> None:
    run = make(store, "run")
    run.record.sha256.clear()
    (run.folder / "test.npz").write_bytes(content)
    with pytest.raises(DamagedArraysError, match=rf"test\.npz is .*{message}") as error:
        run.load_arrays("test")
    assert str(error.value).endswith("; make ensemble RUN=run makes it again")
    assert len(str(error.value)) < 600


def test_arrays_are_read_back_and_only_the_recorded_ones(store: RunStore) -> None:
    run, other = make(store, "run"), make(store, "other")
    stored = store.find("run").load_arrays("validation")
    np.testing.assert_array_equal(stored["rows"], ROWS, strict=True)
    np.testing.assert_array_equal(stored["probabilities"], PROBABILITIES, strict=True)
    other.save_arrays("test", rows=ROWS[:9], probabilities=PROBABILITIES[:9])
    os.replace(other.folder / "test.npz", run.folder / "test.npz")
    with pytest.raises(DamagedArraysError, match=r"differs from what .* records; make ens"):
        run.load_arrays("test")
    (run.folder / "test.npz").unlink()
    with pytest.raises(DamagedArraysError, match=r"test\.npz is missing; make ensemble RUN=run"):
        run.load_arrays("test")


def test_commands_that_list_runs_go_on_without_the_damaged_ones(
    tmp_path: Path, store: RunStore
) -> None:
    for name in ("good", "no-record", "no-array", "markup"):
        make(store, name)
    (store.folder / "no-record" / "run.json").write_text("{")
    (store.folder / "no-array" / "validation.npz").write_bytes(b"\0")
    path = store.folder / "markup" / "run.json"
    path.write_bytes(changed("recipe_name", "<script>alert(1)</script>")(path.read_bytes()))

    def invoke(*arguments: str) -> tuple[str, list[str]]:
        done = CliRunner().invoke(app, [*arguments, "--root", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout, done.stderr.splitlines()

    printed, warnings = invoke("compare", "--json")
    parsed = json.loads(printed)
    assert sorted(row["run"] for row in parsed["groups"][0]["runs"]) == ["good", "markup"]
    assert [one["run"] for one in parsed["unreadable"]] == ["no-record", "no-array"]
    assert "no-record/run.json is not a run record (not JSON" in warnings[0]
    assert "no-array/validation.npz differs from what run.json records; make ens" in warnings[1]
    assert len(warnings) == 2
    assert invoke("compare")[1] == warnings
    printed, (warning,) = invoke("runs", "--json")
    states = {run["id"]: run["state"] for run in json.loads(printed)}
    assert states.pop("no-record") == "unreadable"
    assert set(states) == {"good", "markup", "no-array"}
    assert warning == warnings[0]
    assert "good  done" in invoke("runs")[0]
    assert invoke("report")[1] == warnings
    page = (store.folder / "report.html").read_text()
    assert page.count("<script") == 3, "the page's own: its data, Vega and its script"
    assert page.count('<p class="problem">left out: ') == 2
