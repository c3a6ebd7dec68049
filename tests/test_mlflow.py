"""What MLflow gets of a run, in a real database of MLflow's."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from PIL import Image

from pipeline.common.errors import PipelineError
from pipeline.common.files import sha256
from pipeline.competitions.ledger import Ledger
from pipeline.runs import Run, RunStore
from pipeline.tracking import address, live
from pipeline.tracking.entry import PREFIX
from pipeline.tracking.server import EXPERIMENT, Server
from tests.commands import REPOSITORY, plain_environment
from tests.scored_runs import ScoredRuns

COLUMNS = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds\n"

KILLED_AT_EVERY_COMMIT = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.orm import Session
from pipeline.tracking import address
address.prepare()
from pipeline.competitions.ledger import Ledger
from pipeline.runs import RunStore
from pipeline.tracking.server import Server

root = Path(sys.argv[1])
(run,) = RunStore(root / "runs").all()

def log_until(number):
    seen = []
    def count(session):
        seen.append(1)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(Session, sys.argv[2], count)
    Server(address.tracking_uri()).log(run, Ledger(root / "submissions" / "ledger.csv"))

kills = 0
for number in range(1, 200):
    child = os.fork()
    if not child:
        log_until(number)
        os._exit(0)
    if not os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        break
    kills += 1
print(kills)
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's without runs, which takes seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        patch.setenv(address.VARIABLE, f"sqlite:///{path}")
        address.prepare()
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new database, which MLFLOW_TRACKING_URI names. Its files go into the folder of the test."""
    shutil.copy(empty, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(address.VARIABLE, f"sqlite:///{tmp_path / 'mlflow.db'}")
    return os.environ[address.VARIABLE]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A scored run of one member with 3 epochs."""
    made = ScoredRuns(tmp_path / "runs")("quick-s0-1", [1, 2])
    write_history(made, [0.5, 0.25, 0.125])
    return made


def write_history(run: Run, losses: list[float], attempt: int = 0) -> None:
    """Give the run's only member these epochs, of 2 s each."""
    rows = "".join(f"{n},{loss},0.5,{loss},0.5,0.01,2\n" for n, loss in enumerate(losses, start=1))
    run.member_folder(0).mkdir(parents=True, exist_ok=True)
    (run.member_folder(0) / "history.csv").write_text(COLUMNS + rows)
    (member,) = run.record.members
    member.epochs, member.attempt = len(losses), attempt
    run.save()


def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "submissions" / "ledger.csv")


def logged(uri: str) -> tuple[Any, list[Any]]:
    """Return the one parent on the server, and its children."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment
    found = list(client.search_runs([experiment.experiment_id]))
    (parent,) = (one for one in found if "mlflow.parentRunId" not in one.data.tags)
    children = [one for one in found if one is not parent]
    assert {one.data.tags["mlflow.parentRunId"] for one in children} <= {parent.info.run_id}
    return parent, children


def points(uri: str, run_id: str, metric: str) -> list[tuple[int, float]]:
    """Return all points of a metric: step and value."""
    history = MlflowClient(uri).get_metric_history(run_id, metric)
    return sorted((one.step, one.value) for one in history)


def test_a_run_is_there_once_with_all_that_it_holds(uri: str, run: Run, tmp_path: Path) -> None:
    csv = ledger(tmp_path).path.parent / f"{run.id}.csv"
    csv.parent.mkdir()
    csv.write_text("ImageId,Label\n1,7\n")
    Image.new("RGB", (8, 8)).save(run.folder / "mistakes.png")
    Image.new("RGB", (8, 8)).save(run.member_folder(0) / "curves.png")
    assert Server(uri).log(run, ledger(tmp_path))
    parent, (child,) = logged(uri)
    assert parent.info.status == child.info.status == "FINISHED"
    assert parent.info.end_time - parent.info.start_time == 120_000
    assert parent.data.tags[f"{PREFIX}run"] == parent.info.run_name == run.id
    assert parent.data.params["training.batch_size"] == "1001"
    assert parent.data.params["members.required"] == "none"
    assert parent.data.params["training.deterministic"] == "false"
    assert parent.data.metrics["validation_accuracy"] == 1
    assert points(uri, child.info.run_id, "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]
    times = [
        one.timestamp for one in MlflowClient(uri).get_metric_history(child.info.run_id, "loss")
    ]
    assert sorted(times) == [parent.info.start_time + 2000 * n for n in (1, 2, 3)]
    files = [
        {one.path for one in MlflowClient(uri).list_artifacts(entry.info.run_id)}
        for entry in (parent, child)
    ]
    assert files == [{"mistakes.png", csv.name}, {"curves.png"}]

    assert not Server(uri).log(run, ledger(tmp_path)), "all of it is there already"
    upload = ledger(tmp_path).begin(run.id, sha256(csv), "practice", "m")
    ledger(tmp_path).update(upload.model_copy(update={"status": "complete", "public_score": 0.75}))
    write_history(run, [0.5, 0.25, 0.125, 0.1])
    assert Server(uri).log(run, ledger(tmp_path))
    parent, (again,) = logged(uri)
    assert again.info.run_id == child.info.run_id
    assert parent.data.metrics["public_score"] == 0.75
    assert points(uri, parent.info.run_id, "validation_accuracy") == [(0, 1.0)]
    assert points(uri, child.info.run_id, "val_loss")[-2:] == [(3, 0.125), (4, 0.1)]


@pytest.mark.parametrize("losses", [[], [0.7], [0.5, 0.3, 0.1], [0.5, 0.25, 0.1, 0.1]])
def test_another_history_of_a_member_replaces_the_one_that_was_logged(
    uri: str, run: Run, tmp_path: Path, losses: list[float]
) -> None:
    server = Server(uri)
    server.log(run, ledger(tmp_path))
    write_history(run, losses, attempt=1)
    server.log(run, ledger(tmp_path))
    _, (child,) = logged(uri)
    assert points(uri, child.info.run_id, "loss") == list(enumerate(losses, start=1))
    assert child.data.tags[f"{PREFIX}attempt"] == "1"


def test_a_history_that_is_lost_here_stays_there(uri: str, run: Run, tmp_path: Path) -> None:
    server = Server(uri)
    server.log(run, ledger(tmp_path))
    (run.member_folder(0) / "history.csv").write_text("torn")
    assert not server.log(run, ledger(tmp_path))
    _, (child,) = logged(uri)
    assert len(points(uri, child.info.run_id, "loss")) == 3


def test_what_a_lost_answer_has_made_twice_is_there_once_in_the_end(
    uri: str, run: Run, tmp_path: Path
) -> None:
    server, client = Server(uri), MlflowClient(uri)
    server.log(run, ledger(tmp_path))
    parent, (child,) = logged(uri)
    for one in (parent, child):
        tags = {k: v for k, v in one.data.tags.items() if k.startswith(PREFIX)}
        client.create_run(one.info.experiment_id, tags=tags)
    server.log(run, ledger(tmp_path))
    _, (kept,) = logged(uri)
    assert kept.info.run_id == child.info.run_id
    assert not server.log(run, ledger(tmp_path))


def test_an_average_has_no_members(uri: str, run: Run, tmp_path: Path) -> None:
    average = ScoredRuns(tmp_path / "runs")("ensemble-1", [1], parents=[run.id])
    Server(uri).log(average, ledger(tmp_path))
    parent, children = logged(uri)
    assert parent.data.params == {"average_of": run.id}
    assert children == []


def test_a_deleted_experiment_is_named(
    uri: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    client = MlflowClient(uri)
    client.delete_experiment(client.create_experiment("mine"))
    with pytest.raises(PipelineError, match="'mine' is deleted there; restore it, or name another"):
        Server(uri).log(run, ledger(tmp_path))


def test_a_database_that_cannot_be_is_named_at_once(run: Run, tmp_path: Path) -> None:
    for path, problem in ((tmp_path, "is no file"), (tmp_path / "no" / "x.db", "does not exist")):
        with pytest.raises(PipelineError, match=rf"{path} is .*{problem.removeprefix('is ')}"):
            Server(f"sqlite:///{path}").log(run, ledger(tmp_path))


KILLED_IN_A_MIGRATION = """
import os, signal, sys
from sqlalchemy import Engine, event
from pipeline.tracking import address, server
address.prepare()

def kill(connection, cursor, statement, *rest):
    if statement.startswith("ALTER TABLE"):
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "before_cursor_execute", kill)
server._make_database(address.tracking_uri())
"""


def test_a_database_that_a_killed_process_was_making_is_made_by_the_next(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(address.VARIABLE, "sqlite:///new.db")
    environment = {**plain_environment(), address.VARIABLE: "sqlite:///new.db"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    program = [sys.executable, "-c", KILLED_IN_A_MIGRATION]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(tmp_path.glob(".new-*.db"))
    assert not (tmp_path / "new.db").exists()
    assert Server("sqlite:///new.db").log(run, ledger(tmp_path))
    assert [path.name for path in tmp_path.glob("*.db*")] == ["new.db"]
    assert logged("sqlite:///new.db")


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_a_process_killed_at_any_commit_leaves_nothing_twice(
    uri: str, run: Run, tmp_path: Path, moment: str
) -> None:
    program = [sys.executable, "-c", KILLED_AT_EVERY_COMMIT, str(tmp_path), moment]
    environment = {**plain_environment(), address.VARIABLE: uri}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=200)
    assert int(done.stdout) >= 5, done.stderr
    parent, (child,) = logged(uri)
    assert parent.info.status == child.info.status == "FINISHED"
    assert points(uri, child.info.run_id, "loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert points(uri, parent.info.run_id, "validation_accuracy") == [(0, 1.0)]


SHOWN = {
    "http://u:pa:ss@host:5000/x": "http://host:5000/x",
    "http://u:p@ss@host": "http://host",
    "https://token@host/": "https://host/",
    "postgresql+psycopg2://u:pa/ss@host/db?password=abc": "postgresql+psycopg2://host/db",
    "sqlite:////tmp/mlflow.db": "sqlite:////tmp/mlflow.db",
}


@pytest.mark.parametrize(("uri", "shown"), SHOWN.items())
def test_an_address_is_shown_without_its_secrets(
    uri: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert address.shown(uri) == shown
    monkeypatch.setenv(address.VARIABLE, uri)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-en")
    text = address.without_secrets(f"no answer from {uri} with Bearer tok-en, password ss or abc")
    assert all(secret not in text for secret in ("pa:ss", "p@ss", "token@", "pa/ss", "tok-en"))


WRONG = ["localhost:5000", "mlruns", "htp://host:5000"]
WRONG_WITH_SECRETS = ["me:s3cret@host:5000", "http:/me:s3cret@host", "htp://h?api_key=s3cret"]


@pytest.mark.parametrize("uri", WRONG + WRONG_WITH_SECRETS)
def test_what_is_no_address_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(address.VARIABLE, uri)
    with pytest.raises(PipelineError, match="give a server's address or a database's") as refused:
        address.prepare()
    assert "s3cret" not in str(refused.value)


def test_no_secret_is_printed_where_stdout_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ScoredRuns(tmp_path / "runs")("a-s0", range(3))
    uri = "http://me:s3cret@127.0.0.1:9"
    monkeypatch.setenv(address.VARIABLE, uri)

    def fails(uri: str) -> Server:
        raise RuntimeError(f"API request to {uri} failed")

    def report(line: str) -> None:
        reported.append(line)
        raise BrokenPipeError

    reported: list[str] = []
    tracebacks: list[object] = []
    monkeypatch.setattr(threading, "excepthook", tracebacks.append)
    monkeypatch.setattr(live, "Server", fails)
    log = live.LiveLog(RunStore(tmp_path / "runs"), Ledger(tmp_path / "ledger.csv"), report)
    log.complete(run)
    log.close()
    assert tracebacks == []
    assert len(reported) == 1
    assert "s3cret" not in reported[0]
