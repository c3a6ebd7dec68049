"""The systems of the tutorials: trained once, measured, and compared with what is reported."""

import io
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline import cli, recipe
from pipeline.common.progress import Report
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from pipeline.evaluation import tutorials
from pipeline.evaluation.tutorials import BASELINES, Baseline, Measurement, TutorialRow
from pipeline.runs import Run, RunStore
from pipeline.stages import baselines as stage
from pipeline.stages.baselines import baselines

RERUN = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from pipeline.evaluation.tutorials import Baseline
from pipeline.stages.baselines import baselines
root, *names = sys.argv[1:]
systems = [Baseline(*name.rsplit(":", 1), None, "") for name in names]
rows = baselines(Path(root), 2, print, systems)
print(json.dumps([[asdict(run) for run in row.measurements] for row in rows]))
"""
"""Runs the stage a second time, in a process of its own."""

ONE_EPOCH = """
[network]
name = "mlp_50"
[augmentation]
engine = "none"
[training]
epochs = 1
batch_size = 500
[checkpoints]
keep_best = 0
keep_last = 1
"""


def measurement(seed: int = 0, test: float = 0.98, **changes: float) -> Measurement:
    values = {"training_accuracy": 0.995, "validation_accuracy": 0.975, "seconds": 60.0}
    return Measurement(
        seed=seed,
        test_accuracy=test,
        rows=10_000,
        parameters=203_530,
        epochs=10,
        **(values | changes),
    )


def test_every_tutorial_recipe_is_a_baseline() -> None:
    tutorial_recipes = {name for name in recipe.names() if name.startswith("tutorials/")}
    assert [baseline.recipe for baseline in BASELINES][-1] == "bn_cnn"
    assert {baseline.recipe for baseline in BASELINES[:-1]} == tutorial_recipes


@pytest.mark.parametrize(
    ("reported", "measured", "reached", "verdict"),
    [
        (0.980, 0.9800, True, "yes"),
        (0.980, 0.9785, True, "yes (-0.150)"),
        (0.980, 0.9784, False, "no (-0.160)"),
        (0.99628, 0.99625, True, "yes (-0.003)"),
        (None, 0.5, None, ""),
    ],
)
def test_measured_is_compared_with_reported(
    reported: float | None, measured: float, reached: bool | None, verdict: str
) -> None:
    row = TutorialRow(Baseline("x", "mnist", reported, "a claim"), [measurement(test=measured)])
    assert (row.reached, row.verdict) == (reached, verdict)


def test_several_seeds_give_mean_and_standard_deviation() -> None:
    accuracies = [0.97, 0.98, 0.987]
    several = [measurement(seed, test) for seed, test in enumerate(accuracies)]
    row = TutorialRow(Baseline("tutorials/mlp_256", "mnist", 0.976, "97.6 %"), several)
    assert row.measured == pytest.approx(np.mean(accuracies))
    assert row.deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert row.gap == pytest.approx(0.02)
    assert row.cells() == {
        "recipe": "mlp_256",
        "parameters": "203,530",
        "reported": "97.6 %",
        "measured": "97.90 +- 0.85 %",
        "rows": "10,000",
        "reached": "yes",
        "gap": "+2.00",
        "epochs": "10",
        "seconds": "60",
    }
    printed = tutorials.as_markdown([row])
    title = "the tutorials, training seeds 0, 1, 2, mean +- standard deviation\n"
    assert printed.startswith(title)
    header, rule, cells = (line.split("|") for line in printed.splitlines()[2:5])
    assert len(header) == len(rule) == len(cells) == len(row.cells()) + 2
    assert json.loads(json.dumps(row.as_json()))["measurements"][2]["test_accuracy"] == 0.987


@pytest.mark.parametrize("width", [80, 160])
def test_the_printed_table_names_every_recipe(width: int) -> None:
    several = [measurement(seed) for seed in range(3)]
    rows = [TutorialRow(baseline, several) for baseline in BASELINES]
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(tutorials.table(rows))
    printed = captured.get()
    assert all(f" {Path(baseline.recipe).stem} " in printed for baseline in BASELINES)
    assert max(map(len, printed.splitlines())) <= width
    if width == 160:
        assert all(cell in printed for row in rows for cell in row.cells().values())


def accuracy_on_training_rows(run: Run, root: Path) -> float:
    """Compute a run's accuracy on its training rows of MNIST, from its only checkpoint."""
    (split,) = (root / "data" / "splits").glob(f"{run.record.data_fingerprint[:12]}-*.npz")
    rows = np.load(split)["train_rows"]
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    (checkpoint,) = run.checkpoint_paths()
    network = keras.saving.load_model(checkpoint)
    probabilities = network(images[rows].reshape(-1, 28, 28, 1) / np.float32(255)).numpy()
    return float((probabilities.argmax(axis=1) == labels[rows]).mean())


@pytest.mark.slow
def test_baselines_are_trained_once_and_measured_on_real_digits(
    tmp_path: Path, without_tensorflow: str
) -> None:
    file = tmp_path / "one_epoch.toml"
    file.write_text(ONE_EPOCH)
    systems = [
        Baseline(str(file), "mnist", 0.8, "80 %"),
        Baseline(str(file), "practice", None, "a plot"),
    ]
    rows = baselines(tmp_path, 2, lambda line: None, systems)
    runs = RunStore(tmp_path / "runs").all()
    assert [(run.record.source, run.training.seed) for run in runs] == [
        *[("mnist", 0), ("mnist", 1), ("practice", 0), ("practice", 1)]
    ]
    for row, (first, _) in zip(rows, (runs[:2], runs[2:]), strict=True):
        measured, other = row.measurements
        assert (measured.seed, other.seed) == (0, 1)
        assert measured.test_accuracy != other.test_accuracy
        assert 0.8 < measured.test_accuracy < 0.95
        assert measured.training_accuracy != measured.validation_accuracy
        assert abs(row.gap) < 0.03
        assert (measured.rows, measured.parameters) == (
            len(first.load_arrays("test")["rows"]),
            39_760,
        )
    assert rows[0].measurements[0].training_accuracy == accuracy_on_training_rows(runs[0], tmp_path)
    stored = runs[0].load_arrays("test")
    accuracy = (stored["probabilities"].argmax(axis=1) == stored["labels"]).mean()
    assert rows[0].measurements[0].test_accuracy == pytest.approx(accuracy)
    assert (tmp_path / "runs" / "baselines-2.md").read_text() == tutorials.as_markdown(rows)
    ledger = pd.read_csv(tmp_path / "submissions" / "ledger.csv")
    assert list(ledger["hidden_score"]) == [run.test_accuracy for run in rows[1].measurements]
    rerun = subprocess.run(
        [
            sys.executable,
            "-c",
            RERUN,
            str(tmp_path),
            *(f"{system.recipe}:{system.source}" for system in systems),
        ],
        env={**os.environ, "PYTHONPATH": without_tensorflow},
        capture_output=True,
        text=True,
    )
    assert rerun.returncode == 0, rerun.stderr
    assert rerun.stdout.count("is trained already") == 4
    figures = [[asdict(run) for run in row.measurements] for row in rows]
    assert json.loads(rerun.stdout.splitlines()[-1]) == figures


def test_the_command_takes_seeds_and_force_and_prints_json(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: list[object] = []

    def measured(root: Path, seeds: int, report: Report, force: bool) -> list[TutorialRow]:
        arguments.extend([root, seeds, force])
        return [TutorialRow(BASELINES[0], [measurement()])]

    monkeypatch.setattr(stage, "baselines", measured)
    variables = {"SEEDS": "3", "FORCE": "1", "RECIPE": ""}
    result = CliRunner().invoke(cli.app, ["baselines", "--json"], env=variables)
    assert arguments == [Path(), 3, True]
    (row,) = json.loads(result.stdout)
    assert (row["recipe"], row["measured"], row["reached"]) == ("tutorials/mlp_256", 0.98, True)
    assert (row["source"], row["reported"], row["told"]) == ("mnist", 0.976, "97.6 to 97.8 %")
    assert "97.6 to 97.8 %" in CliRunner().invoke(cli.app, ["baselines"], env=variables).stdout
    refused = CliRunner().invoke(cli.app, ["baselines"], env={"SEEDS": "0"})
    assert "a whole number from 1 to 100 is needed" in str(refused.exception)
