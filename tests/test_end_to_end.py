"""The commands as a person types them, with real digits, training and kaggle command."""

import json
import re
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from pipeline.competitions import submission
from pipeline.data.mnist import CHECKSUMS
from tests.commands import REPOSITORY
from tests.kaggle_stand_in import TOKEN, StandIn
from tests.practice.hidden import hidden_of, holds_labels
from tests.test_mlflow import logged
from tests.workspace import Workspace

QUICK = ["--recipe", "quick", "--set", "training.epochs=1"]
OTHER = [*QUICK, "--seed", "1"]

AUDITED = """
import sys

def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        frame, callers = sys._getframe(1), set()
        while frame:
            callers.add(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        if "data/mnist/" in arguments[0]:
            opened.append([arguments[0], sorted(callers)])

opened = []
sys.addaudithook(note)
from pipeline.cli import main
try:
    main()
finally:
    import json, os
    with open(os.environ["OPENED"], "w") as file:
        json.dump(opened, file)
"""


@pytest.fixture(scope="module")
def first(workspace: Workspace) -> subprocess.CompletedProcess[str]:
    """The first `submit` in the workspace. It notes which of MNIST's files are opened by whom."""
    opened = str(workspace.folder / "opened.json")
    return workspace.run("submit", *QUICK, program=("-c", AUDITED), OPENED=opened)


@pytest.fixture(scope="module")
def kaggle(
    workspace: Workspace, first: subprocess.CompletedProcess[str]
) -> Iterator[tuple[StandIn, Workspace]]:
    """A stand-in for Kaggle with the practice competition's files, and a workspace with a token."""
    data = workspace.folder / "data" / "practice"
    hidden = workspace.folder / "home" / "hidden.csv"
    submission.write(hidden, hidden_of(data).labels)
    with StandIn(
        train_csv=data / "train.csv",
        test_csv=data / "test.csv",
        hidden_labels=hidden,
    ) as server:
        environment = server.environment(workspace.folder / "home")
        yield server, Workspace(workspace.folder, {**environment, "PYTHONPATH": str(REPOSITORY)})


def test_one_command_makes_a_scored_submission(
    workspace: Workspace, first: subprocess.CompletedProcess[str]
) -> None:
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    lines = first.stdout.splitlines()
    assert lines[0].startswith("source: the practice competition, as no Kaggle credentials")
    assert re.search(r"validation accuracy 0\.9\d+ on 6,300 rows \(95 % interval", first.stdout)
    score = re.search(r"^public score (0\.9\d{4})$", first.stdout, re.MULTILINE)
    assert score
    assert "private" not in first.stdout
    run = workspace.only_run("quick-s0-*")
    labels = submission.check(workspace.folder / "submissions" / f"{run.name}.csv")
    hidden, public = hidden_of(workspace.folder / "data" / "practice")
    accuracy = accuracy_score(hidden[public], labels[public])
    assert float(score[1]) == pytest.approx(accuracy, abs=1e-5)
    assert accuracy > 0.9
    expected = ["members/0/curves.png", "mistakes.png", "validation.npz", "test.npz", "run.json"]
    assert all((run / name).stat().st_size > 1000 for name in expected)
    assert (workspace.folder / "submissions" / f"{run.name}.png").stat().st_size > 10_000


def test_the_hidden_labels_are_drawn_by_builder_and_scorer_and_in_no_file(
    workspace: Workspace, first: subprocess.CompletedProcess[str]
) -> None:
    opened = json.loads((workspace.folder / "opened.json").read_text())
    assert {path.rsplit("/", 1)[-1] for path, _ in opened} == {f"{one}.gz" for one in CHECKSUMS}
    module = "pipeline.competitions.practice"
    for path, callers in opened:
        readers = {f"{module}.builder", f"{module}.scorer"} & set(callers)
        assert len(readers) == 1, path
        assert "labels" in path or readers == {f"{module}.builder"}
    hidden = hidden_of(workspace.folder / "data" / "practice").labels
    folders = [workspace.folder / name for name in ("data/practice", "runs", "submissions")]
    paths = [path for one in folders for path in one.rglob("*") if path.is_file()]
    assert len(paths) > 10
    assert [path for path in paths if holds_labels(path, hidden)] == []


def test_the_same_command_again_trains_and_uploads_nothing(
    workspace: Workspace, first: subprocess.CompletedProcess[str], without_tensorflow: str
) -> None:
    ledger = (workspace.folder / "submissions" / "ledger.csv").read_text()
    again = workspace.run("submit", *QUICK, PYTHONPATH=without_tensorflow)
    assert again.returncode == 0, again.stderr
    assert "is trained already" in again.stdout
    assert "nothing was uploaded" in again.stdout
    assert first.stdout.splitlines()[-2:] == again.stdout.splitlines()[-2:]
    assert (workspace.folder / "submissions" / "ledger.csv").read_text() == ledger


def test_force_uploads_an_identical_csv_again(
    workspace: Workspace, first: subprocess.CompletedProcess[str], without_tensorflow: str
) -> None:
    name = workspace.only_run("quick-s0-*").name
    command = ["submit", "--run", name, "--force", "--json", "--message", "once more"]
    done = workspace.run(*command)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["upload"]["message"].endswith("once more")
    assert not {"private_score", "hidden_score"} & result["upload"].keys()
    ledger = pd.read_csv(workspace.folder / "submissions" / "ledger.csv")
    assert list(ledger["run"]) == [name, name]
    assert ledger["token"].nunique() == 2
    assert ledger["sha256"].nunique() == 1


def test_a_submission_to_kaggle_from_download_to_score(kaggle: tuple[StandIn, Workspace]) -> None:
    server, workspace = kaggle
    server.faults.lists_before_scored = 1
    database = f"sqlite:///{workspace.folder / 'mlflow.db'}"
    done = workspace.run("submit", *OTHER, MLFLOW_TRACKING_URI=database)
    assert done.returncode == 0, done.stderr
    assert "source: Kaggle, with the access token in the environment" in done.stdout
    score = re.search(r"^public score (\S+)$", done.stdout, re.MULTILINE)
    assert score
    assert float(score[1]) > 0.9
    at_mlflow, _ = logged(database)
    assert at_mlflow.data.metrics["public_score"] == float(score[1])
    assert server.count("DownloadDataFiles") == 1
    assert server.count("CreateSubmission") == 1
    again = workspace.run("submit", *OTHER)
    assert "nothing was uploaded" in again.stdout
    assert server.count("CreateSubmission") == 1
    written = [*workspace.folder.glob("runs/**/*.json")]
    written += [workspace.folder / "submissions" / "ledger.csv"]
    texts = [done.stdout, done.stderr, *(path.read_text() for path in written)]
    assert not any(TOKEN in text for text in texts)


def test_a_refusal_by_kaggle_is_reported_in_one_line_and_keeps_the_csv(
    kaggle: tuple[StandIn, Workspace], without_tensorflow: str
) -> None:
    server, workspace = kaggle
    server.faults.rules_accepted = False
    try:
        done = workspace.run("submit", *QUICK, "--source", "kaggle", PYTHONPATH=without_tensorflow)
    finally:
        server.faults.rules_accepted = True
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*competitions/digit-recognizer/rules.*\n", done.stderr)
    run = workspace.only_run("quick-s0-*")
    submission.check(workspace.folder / "submissions" / f"{run.name}.csv")


def test_what_kaggle_marked_as_an_error_is_sent_again_by_force_only(
    kaggle: tuple[StandIn, Workspace], without_tensorflow: str
) -> None:
    server, workspace = kaggle
    before = len(server.submissions)
    command = ("submit", "--run", workspace.only_run("quick-s0-*").name, "--source", "kaggle")
    server.faults.ends_in_error = True
    for _ in range(2):
        done = workspace.run(*command, PYTHONPATH=without_tensorflow)
        assert done.returncode == 1
        assert re.fullmatch(r"error: .* marked it as an error .* FORCE=1 .*\n", done.stderr)
        assert len(server.submissions) == before + 1
    server.faults.ends_in_error = False
    done = workspace.run(*command, "--force")
    assert done.returncode == 0, done.stderr
    assert len(server.submissions) == before + 2


def test_a_forced_upload_that_was_interrupted_is_not_sent_again_by_force(
    kaggle: tuple[StandIn, Workspace],
) -> None:
    server, workspace = kaggle
    before = len(server.submissions)
    ledger = workspace.folder / "submissions" / "ledger.csv"
    rows = pd.read_csv(ledger, dtype=str)
    rows.loc[rows.index[-1], ["status", "reference", "public_score"]] = ["sent", "", ""]
    rows.to_csv(ledger, index=False)  # as a kill leaves it that comes before the answer
    command = ("submit", "--run", workspace.only_run("quick-s0-*").name, "--source", "kaggle")
    done = workspace.run(*command, "--force")
    assert "not sent again" in done.stdout
    assert len(server.submissions) == before


def test_compare_agrees_with_the_stored_probabilities(
    workspace: Workspace, kaggle: tuple[StandIn, Workspace], without_tensorflow: str
) -> None:
    done = workspace.run("compare", "--json", PYTHONPATH=without_tensorflow)
    assert done.returncode == 0, done.stderr
    (group,) = json.loads(done.stdout)["groups"]
    assert len(group["runs"]) >= 2
    for row in group["runs"]:
        stored = np.load(workspace.folder / "runs" / row["run"] / "validation.npz")
        probabilities = stored["probabilities"].astype(float)
        predictions = probabilities.argmax(axis=1)
        assert row["scores"]["accuracy"] == accuracy_score(stored["labels"], predictions)
        assert row["scores"]["log_loss"] == pytest.approx(
            log_loss(stored["labels"], probabilities / probabilities.sum(axis=1, keepdims=True))
        )
    accuracies = [row["scores"]["accuracy"] for row in group["runs"]]
    assert accuracies == sorted(accuracies, reverse=True)
    printed = workspace.run("compare", ALL="1", PYTHONPATH=without_tensorflow).stdout
    assert all(row["run"] in printed for row in group["runs"])


def test_several_runs_are_averaged(workspace: Workspace, kaggle: tuple[StandIn, Workspace]) -> None:
    names = [workspace.only_run(f"quick-s{seed}-*").name for seed in (0, 1)]
    done = workspace.run("submit", "--source", "practice", RUN=" ".join(names))
    assert done.returncode == 0, done.stderr
    average = workspace.only_run("ensemble-*")
    stored = [np.load(workspace.folder / "runs" / name / "test.npz") for name in names]
    expected = np.mean([arrays["probabilities"] for arrays in stored], axis=0)
    np.testing.assert_allclose(np.load(average / "test.npz")["probabilities"], expected, atol=1e-6)
    again = workspace.run("submit", "--source", "practice", RUN=" ".join(reversed(names)))
    assert "is there already" in again.stdout
    assert "nothing was uploaded" in again.stdout
    (average / "test.npz").write_bytes(b"")
    damaged = workspace.run("submission", "--run", average.name)
    assert damaged.returncode == 0, damaged.stderr
    assert f"{average.name}/test.npz differs from what run.json records" in damaged.stdout
    np.testing.assert_allclose(np.load(average / "test.npz")["probabilities"], expected, atol=1e-6)


def test_two_commands_at_once_submit_once(
    kaggle: tuple[StandIn, Workspace], without_tensorflow: str
) -> None:
    server, workspace = kaggle
    before = server.count("CreateSubmission")
    name = workspace.only_run("ensemble-*").name
    command = ("submit", "--run", name, "--source", "kaggle")
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(workspace.run, *command, PYTHONPATH=without_tensorflow) for _ in range(2)
        ]
    printed = [one.result().stdout for one in both]
    assert [one.result().returncode for one in both] == [0, 0], printed
    assert sum("nothing was uploaded" in text for text in printed) == 1
    assert server.count("CreateSubmission") == before + 1


def test_the_report_shows_every_run_with_its_mistakes(
    workspace: Workspace, kaggle: tuple[StandIn, Workspace], without_tensorflow: str
) -> None:
    done = workspace.run("report", PYTHONPATH=without_tensorflow)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wrote runs/report.html (")
    page = (workspace.folder / "runs" / "report.html").read_text()
    (group,) = json.loads(workspace.run("compare", "--json").stdout)["groups"]
    for row in group["runs"]:
        assert f'id="run-{row["run"]}"' in page
    run = workspace.only_run("quick-s0-*").name
    (section,) = re.findall(f'id="run-{run}".*?</details>', page, re.DOTALL)
    assert len(re.findall(r"<img data-digit=", section)) == 24
    assert "the 6,300 validation rows" in section
    (digits,) = re.findall(r'"digits":(\[.*?\])', page)
    assert all(b64decode(one).startswith(b"\x89PNG") for one in json.loads(digits))


@pytest.mark.slow
def test_a_run_stopped_by_ctrl_c_can_be_submitted_and_continued(
    workspace: Workspace, first: subprocess.CompletedProcess[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "train", "--recipe", "quick", "--seed", "9"],
        cwd=workspace.folder,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert any(line.startswith("epoch  1/14") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted\n"
    name = workspace.only_run("quick-s9-*").name
    assert f"make submit RUN={name} uses the checkpoints so far" in output
    listed = workspace.run("runs").stdout
    assert re.search(rf"{name}  interrupted", listed)
    done = workspace.run("submission", "--run", name)
    assert done.returncode == 0, done.stderr
    submission.check(workspace.folder / "submissions" / f"{name}.csv")
    epochs = len(pd.read_csv(workspace.folder / "runs" / name / "members/0/history.csv"))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "train", "--run", name],
        cwd=workspace.folder,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert any(line == f"continuing after epoch {epochs}\n" for line in process.stdout)
    assert next(process.stdout).startswith(f"epoch {epochs + 1:>2}/14")
    refused = workspace.run("train", "--recipe", "quick", "--seed", "9")
    assert refused.returncode == 1
    assert f"run {name} is being worked on by process {process.pid} on " in refused.stderr
    process.kill()
    process.communicate(timeout=60)
