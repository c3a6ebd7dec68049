"""The commands as a person types them, with real digits, training and kaggle command."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from pipeline.competitions import submission
from pipeline.data.mnist import CHECKSUMS
from tests.commands import REPOSITORY, variables_of_targets
from tests.kaggle_stand_in import TOKEN, StandIn
from tests.practice.hidden import hidden_of, holds_labels
from tests.test_mlflow import logged

OPTIONS = set().union(*variables_of_targets().values())
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


@dataclass
class Workspace:
    """A folder to run commands in, with a home folder of its own and without credentials."""

    folder: Path
    environment: dict[str, str]

    def run(
        self, *arguments: str, program: tuple[str, ...] = ("-m", "pipeline"), **extra: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def only_run(self, pattern: str) -> Path:
        (path,) = (self.folder / "runs").glob(pattern)
        return path


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("workspace")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KAGGLE_") and name not in OPTIONS and "proxy" not in name.lower()
    }
    home = folder / "home"
    home.mkdir()
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    # If the command found credentials after all, it still could not reach Kaggle.
    closed = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return Workspace(folder, {**kept, **own, **closed})


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


def test_a_submission_from_a_cut_folder_is_not_one_to_upload(
    workspace: Workspace, small_digits: Path
) -> None:
    done = workspace.run(
        *["submit", "--recipe", "quick", "--set", "training.epochs=1"], SOURCE=str(small_digits)
    )
    assert done.returncode == 0, done.stderr
    assert "Kaggle would refuse this CSV: submissions/quick-s0-" in done.stdout
    assert "has 200 rows; 28,000 are needed" in done.stdout


def test_mnist_gets_a_test_accuracy_and_pictures_but_no_submission(
    workspace: Workspace, without_tensorflow: str
) -> None:
    variables: dict[str, Any] = {"SOURCE": "mnist", "RECIPE": "mlp_50", "SET": "training.epochs=1"}
    done = workspace.run("ensemble", **variables)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "source: MNIST, 60,000 labelled digits and 10,000 to test on" in done.stdout
    score = r"test accuracy (0\.8\d+) on 10,000 rows \(95 % interval"
    (accuracy,) = re.findall(score, done.stdout)
    run = workspace.only_run("mlp_50-s0-*")
    stored = np.load(run / "test.npz")
    expected = accuracy_score(stored["labels"], stored["probabilities"].argmax(axis=1))
    assert float(accuracy) == pytest.approx(expected, abs=1e-5)
    (group,) = [
        group
        for group in json.loads(workspace.run("compare", "--json").stdout)["groups"]
        if group["source"] == "mnist"
    ]
    assert [row["test_accuracy"] for row in group["runs"]] == [expected]
    again = workspace.run("ensemble", PYTHONPATH=without_tensorflow, **variables)
    assert re.findall(score, again.stdout) == [accuracy]
    for command in ("submission", "submit"):
        refused = workspace.run(command, PYTHONPATH=without_tensorflow, **variables)
        assert refused.returncode == 1
        assert re.fullmatch(r"error: SOURCE is mnist, .* nothing to submit; .*\n", refused.stderr)
    looked = workspace.run("look", PYTHONPATH=without_tensorflow, RUN=run.name, VIEW="confusion")
    assert looked.returncode == 0, looked.stderr
    assert (run / "look" / "confusion-validation.png").stat().st_size > 10_000
    assert looked.stdout.splitlines()[-2].split()[-1] == "6000"
    # make exports variables that are not given as empty texts.
    pair: dict[str, Any] = {
        "TRUE": "0",
        "PREDICTED": "6",
        "VIEW": "",
        "PART": "",
        "START": "",
        "COUNT": "5",
    }
    looked = workspace.run("look", PYTHONPATH=without_tensorflow, RUN=run.name, **pair)
    assert looked.returncode == 0, looked.stderr
    assert "label 0, predicted as 6:" in looked.stdout


def test_data_checks_every_cell_and_split_lists_duplicates(
    workspace: Workspace, small_digits: Path, tmp_path: Path
) -> None:
    for name in ("train.csv", "test.csv"):
        head, *rows = (small_digits / name).read_text().splitlines()
        (tmp_path / name).write_text("\n".join([head, *rows, rows[0]]) + "\n")
    checked = workspace.run("data", "--source", str(tmp_path))
    assert checked.returncode == 0, checked.stderr
    assert f"{tmp_path}/train.csv: 601 labelled rows, every cell checked\n" in checked.stdout
    assert f"{tmp_path}/test.csv: 201 rows to predict, every cell checked\n" in checked.stdout
    divided = workspace.run("split", "--source", str(tmp_path))
    assert divided.returncode == 0, divided.stderr
    assert "510 training and 91 validation rows, stratified, in " in divided.stdout
    counts = "1 within the labelled rows, 0 between them and the rows to predict"
    listed = re.search(f"{counts}, listed in (.*)", divided.stdout)
    assert listed, divided.stdout
    (copy,) = pd.read_csv(workspace.folder / listed[1]).to_dict("records")
    assert (copy["kind"], copy["train_row"], copy["other_row"]) == ("train", 0, 600)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit", "--recipe", "nope"], "RECIPE is 'nope', which is neither a recipe nor a file"),
        (["train", "--set", "training.epochs=0"], "training.epochs is 0; it must be"),
        (
            ["train", "--source", "elsewhere"],
            "SOURCE is 'elsewhere'; it must be auto, kaggle, practice, mnist,",
        ),
        (["split", "--run", "quick"], "make split takes no RUN; leave it out"),
        (["train", "--run", "zzz"], "RUN is 'zzz': no run begins with it"),
        (["train", "--run", "quick", "--seed", "1"], "a run has its own recipe; leave out RECIPE,"),
        (["submit", "--run", "quick", "--recipe", "quick"], "a run has its own recipe; leave out"),
        (["submit", "--executor", "gpu"], "EXECUTOR is 'gpu'; use one of auto, serial, processes"),
        (["look", "--view", "digits"], "RUN is ''; make look draws one trained run"),
        (["ensemble", "--run", "zzz"], "RUN is 'zzz': no run begins with it"),
        (["submit", "--source", "kaggle"], "credentials"),
        (["train", "--set", "network.name=vgg"], "network.name is 'vgg'; it must be one of"),
    ],
)
def test_a_failure_is_reported_in_one_line_and_exits_1(
    workspace: Workspace,
    first: subprocess.CompletedProcess[str],
    arguments: list[str],
    message: str,
) -> None:
    runs = sorted((workspace.folder / "runs").iterdir())
    done = workspace.run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert sorted((workspace.folder / "runs").iterdir()) == runs


def test_wrong_usage_exits_2(workspace: Workspace) -> None:
    assert workspace.run("submit", "--no-such-option").returncode == 2
    assert workspace.run("no-such-command").returncode == 2
    assert workspace.run("runs", "--root", "no-such-folder").returncode == 2


def test_another_folder_may_hold_data_runs_and_submissions(
    workspace: Workspace, small_digits: Path, tmp_path: Path
) -> None:
    arguments = ["--recipe", "mlp_50", "--set", "training.epochs=1", "--source", str(small_digits)]
    result = workspace.run("train", *arguments, "--root", str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"data", "runs"}
    (path,) = (tmp_path / "runs").glob("*/run.json")
    record = json.loads(path.read_text())
    assert record["executor"] == "serial"
    assert record["command"].endswith(
        f"python -m pipeline train {shlex.join(arguments)} --root {tmp_path}"
    )
    assert path.parent.name in workspace.run("runs", "--root", str(tmp_path)).stdout


def test_help_and_doctor_need_no_tensorflow(workspace: Workspace, without_tensorflow: str) -> None:
    for arguments in (["--help"], ["submit", "--help"], ["look", "--help"], ["runs", "--json"]):
        assert workspace.run(*arguments, PYTHONPATH=without_tensorflow).returncode == 0
    secret = "KGAT_" + "x" * 32
    doctor = workspace.run("doctor", PYTHONPATH=without_tensorflow, KAGGLE_API_TOKEN=secret)
    assert doctor.returncode == 0
    assert secret not in doctor.stdout + doctor.stderr
    for words in ("Python", "TensorFlow", "CPU cores", "KAGGLE_API_TOKEN", "mlflow", "free"):
        assert words in doctor.stdout
    without = workspace.run("doctor", PYTHONPATH=without_tensorflow)
    assert "make a token at https://www.kaggle.com/settings" in without.stdout


def test_make_lists_every_target() -> None:
    listing = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    targets = "setup data split train ensemble submission submit reveal leaderboard compare report"
    targets += " look baselines runs doctor bench lint test test-slow clean help"
    for target in targets.split():
        assert f"  make {target} " in listing.stdout
