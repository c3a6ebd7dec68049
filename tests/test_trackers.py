"""Runs logged to MLflow and TensorBoard by real commands, with servers that work and that don't."""

import csv
import re
import signal
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipeline.common.errors import PipelineError
from pipeline.runs import Run, RunStore
from pipeline.stages import tracked
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from pipeline.tracking import address, event_files
from tests.commands import Command, command
from tests.mlflow_servers import answering_server, closed_server, mlflow_server, silent_server
from tests.test_mlflow import logged, points

EPOCHS = 4
SETTINGS = f"members.folds=2 training.batch_size=50 training.epochs={EPOCHS} members.cpus=1"
SECRET = "pass%20word-1"
BASIC = b64encode(b"me:pass word-1").decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as uri:
        yield uri


def training(
    root: Path, data: Path, *options: str, **variables: str
) -> AbstractContextManager[Command]:
    """Start `make ensemble` for two small members in `root`."""
    words = ["ensemble", "--recipe", "mlp_50", "--set", SETTINGS, "--source", str(data)]
    return command(root, *words, "--executor", "serial", *options, **variables)


def histories(root: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the epochs and losses of each member by its index."""
    (run,) = RunStore(root / "runs").all()
    return {str(one.index): history(run, one.index) for one in run.record.members}


def history(run: Run, index: int) -> list[tuple[int, float]]:
    with (run.member_folder(index) / "history.csv").open() as file:
        return [(int(row["epoch"]), float(row["loss"])) for row in csv.DictReader(file)]


def on_server(uri: str) -> dict[str, list[tuple[int, float]]]:
    """Return the epochs and losses of each member on the server, which has one run."""
    parent, children = logged(uri)
    assert parent.info.status == "FINISHED"
    assert {child.info.status for child in children} == {"FINISHED"}
    found = [child.data.tags["digit-recognizer.member"] for child in children]
    assert sorted(found) == ["0", "1"]
    return {
        member: points(uri, child.info.run_id, "loss")
        for member, child in zip(found, children, strict=True)
    }


def in_tensorboard(root: Path, tag: str) -> dict[str, list[tuple[int, Any]]]:
    """Return the points of a tag that TensorBoard's own reader finds for each member."""
    found = {}
    for folder in (root / "runs").glob("*/tensorboard/member-*"):
        reader = EventAccumulator(str(folder))
        reader.Reload()
        found[folder.name.removeprefix("member-")] = [
            (one.step, pytest.approx(one.value)) for one in reader.Scalars(tag)
        ]
    return found


@pytest.fixture(scope="module")
def trained(
    server: str, small_digits: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    """A run that was killed in training while it was logged, and what ended it printed."""
    root = tmp_path_factory.mktemp("trained")
    with training(root, small_digits, "--tensorboard", MLFLOW_TRACKING_URI=server) as killed:
        killed.read_until("member 1/2  epoch  2/")
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
    with training(root, small_digits, "--tensorboard", MLFLOW_TRACKING_URI=server) as last:
        yield root, last.finish()


def test_a_run_killed_and_continued_is_logged_once(server: str, trained: tuple[Path, str]) -> None:
    root, printed = trained
    assert f"is logged to MLflow at {server}" in printed
    assert on_server(server) == histories(root)
    parent, children = logged(server)
    assert parent.data.metrics["validation_accuracy"] > 0
    client = MlflowClient(server)
    for entry, name in ((parent, "mistakes.png"), *((child, "curves.png") for child in children)):
        assert [one.path for one in client.list_artifacts(entry.info.run_id)] == [name]


def test_an_export_adds_nothing_to_it(server: str, trained: tuple[Path, str]) -> None:
    root, _ = trained
    for names in ((), ("--run", "mlp")):
        with command(root, "export", "mlflow", *names, MLFLOW_TRACKING_URI=server) as again:
            assert again.finish().endswith(": is there already\n")
    assert on_server(server) == histories(root)


def test_tensorboard_reads_each_epoch_once(
    trained: tuple[Path, str], without_tensorflow: str, small_digits: Path
) -> None:
    root, printed = trained
    (run,) = RunStore(root / "runs").all()
    assert f"wrote {run.folder.relative_to(root)}/tensorboard; " in printed
    names = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    for _ in range(2):
        assert in_tensorboard(root, "loss") == histories(root)
        assert [len(one) for one in in_tensorboard(root, "learning_rate").values()] == [4, 4]
        reader = EventAccumulator(str(run.folder / "tensorboard" / "member-1"))
        assert reader.Reload().Tags()["scalars"] == names
        pictures = EventAccumulator(str(run.folder / "tensorboard" / "pictures")).Reload()
        expected = ["curves/member-0", "curves/member-1", "mistakes"]
        assert sorted(pictures.Tags()["images"]) == expected
        (image,) = pictures.Images("mistakes")
        assert image.encoded_image_string == (run.folder / "mistakes.png").read_bytes()
        with command(
            root, "ensemble", "--run", run.id, TENSORBOARD="1", PYTHONPATH=without_tensorflow
        ) as again:
            again.finish()


Bad = Callable[[], AbstractContextManager[str]]

BAD_SERVERS: dict[str, tuple[Bad, str]] = {
    "closed": (closed_server, "no connection"),
    "silent": (silent_server, "no answer within 1 s"),
    "error": (lambda: answering_server(500, "failed for {}"), "MlflowException|no connection"),
    "refusal": (lambda: answering_server(403, "{} and " + SECRET), "MlflowException"),
    "page": (lambda: answering_server(200, "<html>{}</html>"), "MlflowException"),
    "empty": (lambda: answering_server(200, "{" + "}"), "."),
    "list": (lambda: answering_server(200, "[1]"), "."),
}


@pytest.mark.parametrize("name", BAD_SERVERS)
def test_a_bad_server_costs_a_run_one_line(
    trained: tuple[Path, str], name: str, without_tensorflow: str
) -> None:
    root, _ = trained
    bad, why = BAD_SERVERS[name]
    with bad() as place:
        variables = {
            "MLFLOW_TRACKING_URI": f"http://me:{SECRET}@{place}",
            "MLFLOW_TRACKING_TOKEN": "token-1",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
            "PYTHONPATH": without_tensorflow,
        }
        with command(root, "ensemble", "--run", "mlp", **variables) as done:
            printed = done.finish()
    (line,) = (line for line in printed.splitlines() if "MLflow" in line)
    assert line.startswith(f"logging to MLflow at http://{place} failed (")
    assert "make export RUN=mlp_50-s0-" in line
    for secret in (SECRET, "pass word-1", "token-1", BASIC):
        assert secret not in printed
    assert not any(SECRET.encode() in path.read_bytes() for path in root.rglob("*.json"))
    assert re.search(why, line)


@pytest.mark.slow
def test_a_silent_server_stops_no_training_and_the_run_can_be_logged_later(
    small_digits: Path, tmp_path: Path
) -> None:
    with silent_server() as place:
        with training(tmp_path, small_digits, MLFLOW_TRACKING_URI=f"http://{place}") as done:
            printed = done.finish()
        assert printed.count("MLflow") == 1
        with command(
            tmp_path, "export", "mlflow", MLFLOW_TRACKING_URI=f"http://{place}"
        ) as refused:
            assert refused.process.wait(timeout=100) == 1
            assert refused.errors().startswith(f"error: MLflow at http://{place} failed (no ")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with command(tmp_path, "export", "mlflow", MLFLOW_TRACKING_URI=uri) as later:
        assert later.finish().endswith(": logged\n")
    assert on_server(uri) == histories(tmp_path)


def test_a_missing_package_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(context: Context) -> None:
        raise AssertionError("the stage has begun")

    monkeypatch.setenv(address.VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    monkeypatch.setattr(event_files, "find_spec", lambda name: None)
    for request, name in ((Request(), "MLflow"), (Request(tensorboard=True), "tensorboard")):
        with pytest.raises(PipelineError, match=f"{name} is not installed; make setup "):
            tracked.tracked(never, Context(tmp_path, request, print))


def test_without_the_variables_no_tracker_is_imported(tmp_path: Path) -> None:
    (tmp_path / "stubs").mkdir()
    for name in ("mlflow", "tensorboard"):
        (tmp_path / "stubs" / f"{name}.py").write_text("raise ImportError('not needed here')")
    variables = {"PYTHONPATH": f"{tmp_path / 'stubs'}:{Path(__file__).parents[1]}"}
    with command(tmp_path, "export", "mlflow", **variables) as refused:
        assert refused.process.wait(timeout=100) == 1
        assert "MLFLOW_TRACKING_URI is not set" in refused.errors()
    with command(tmp_path, "ensemble", "--run", "none", **variables) as refused:
        assert refused.process.wait(timeout=100) == 1
        assert "no run begins with it" in refused.errors()
