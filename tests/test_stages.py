"""The stages as commands: sources, folders, refusals, and help without TensorFlow."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from tests.commands import REPOSITORY
from tests.workspace import Workspace


@pytest.fixture(scope="module")
def first(workspace: Workspace, small_digits: Path) -> subprocess.CompletedProcess[str]:
    """The first command in the workspace: `submit` with few digits."""
    return workspace.run(
        *["submit", "--recipe", "quick", "--set", "training.epochs=1"], SOURCE=str(small_digits)
    )


def test_a_submission_from_a_cut_folder_is_not_one_to_upload(
    first: subprocess.CompletedProcess[str],
) -> None:
    assert first.returncode == 0, first.stderr
    assert "Kaggle would refuse this CSV: submissions/quick-s0-" in first.stdout
    assert "has 200 rows; 28,000 are needed" in first.stdout


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
        (["look", "--view", "digits"], "RUN is left out; make look draws one trained run"),
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
    assert max(map(len, listing.stdout.splitlines())) <= 80, "as wide as a terminal"
