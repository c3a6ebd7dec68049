"""The seed tutorials' systems: trained as they are listed, resumed, and tabulated."""

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
from pipeline.evaluation import tutorials as tables
from pipeline.evaluation.tutorials import BASELINES, Baseline, Measurement, Row
from pipeline.runs import Run, RunStore
from pipeline.stages import baselines as stage
from pipeline.stages.baselines import baselines

AGAIN = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from pipeline.evaluation.tutorials import Baseline
from pipeline.stages.baselines import baselines
root, *named = sys.argv[1:]
systems = [Baseline(*one.rsplit(":", 1), None, "") for one in named]
rows = baselines(Path(root), 2, print, systems)
print(json.dumps([[asdict(one) for one in row.measurements] for row in rows]))
"""
"""The stage once more, in a process of its own."""

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


def test_every_recipe_of_the_tutorials_is_a_baseline() -> None:
    seeds = {name for name in recipe.names() if name.startswith("tutorials/")}
    assert [baseline.recipe for baseline in BASELINES][-1] == "bn_cnn"
    assert {baseline.recipe for baseline in BASELINES[:-1]} == seeds


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
    row = Row(Baseline("x", "mnist", reported, "told"), [measurement(test=measured)])
    assert (row.reached, row.verdict) == (reached, verdict)


def test_several_seeds_give_mean_and_standard_deviation() -> None:
    accuracies = [0.97, 0.98, 0.987]
    several = [measurement(seed, test) for seed, test in enumerate(accuracies)]
    row = Row(Baseline("tutorials/mlp_256", "mnist", 0.976, "97.6 %"), several)
    assert row.measured == pytest.approx(np.mean(accuracies))
    assert row.deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert row.gap == pytest.approx(0.02)
    assert row.cells() == [
        *["mlp_256", "203,530", "97.6 %", "97.90 +- 0.85 %", "10,000", "yes"],
        *["+2.00", "10", "60"],
    ]
    printed = tables.as_markdown([row])
    assert printed.startswith("seed tutorials, training seed 0, 1, 2, mean +- standard deviation\n")
    header, rule, cells = (line.split("|") for line in printed.splitlines()[2:5])
    assert len(header) == len(rule) == len(cells) == len(tables.COLUMNS) + 2
    assert json.loads(json.dumps(row.as_json()))["measurements"][2]["test_accuracy"] == 0.987


@pytest.mark.parametrize("width", [80, 160])
def test_the_printed_table_names_every_recipe(width: int) -> None:
    several = [measurement(seed) for seed in range(3)]
    rows = [Row(baseline, several) for baseline in BASELINES]
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(tables.table(rows))
    printed = captured.get()
    assert all(f" {Path(baseline.recipe).stem} " in printed for baseline in BASELINES)
    assert max(map(len, printed.splitlines())) <= width
    if width == 160:
        assert all(cell in printed for row in rows for cell in row.cells())


def accuracy_on_training_rows(run: Run, root: Path) -> float:
    """Predict with the run's one checkpoint on the rows of MNIST that its split trains on."""
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
    told: list[str] = []
    rows = baselines(tmp_path, 2, told.append, systems)
    runs = RunStore(tmp_path / "runs").all()
    assert [(run.record.source, run.record.seed) for run in runs] == [
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
    assert (tmp_path / "runs" / "baselines-2.md").read_text() == tables.as_markdown(rows)
    ledger = pd.read_csv(tmp_path / "submissions" / "ledger.csv")
    assert list(ledger["hidden_score"]) == [one.test_accuracy for one in rows[1].measurements]
    again = subprocess.run(
        [
            sys.executable,
            "-c",
            AGAIN,
            str(tmp_path),
            *(f"{one.recipe}:{one.source}" for one in systems),
        ],
        env={**os.environ, "PYTHONPATH": without_tensorflow},
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("is trained already") == 4
    figures = [[asdict(one) for one in row.measurements] for row in rows]
    assert json.loads(again.stdout.splitlines()[-1]) == figures


def test_the_command_takes_seeds_and_force_and_prints_json(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def measured(root: Path, seeds: int, report: Report, force: bool) -> list[Row]:
        asked.extend([root, seeds, force])
        return [Row(BASELINES[0], [measurement()])]

    monkeypatch.setattr(stage, "baselines", measured)
    variables = {"SEEDS": "3", "FORCE": "1", "RECIPE": ""}
    done = CliRunner().invoke(cli.app, ["baselines", "--json"], env=variables)
    assert asked == [Path(), 3, True]
    (row,) = json.loads(done.stdout)
    assert (row["recipe"], row["measured"], row["reached"]) == ("tutorials/mlp_256", 0.98, True)
    assert "97.6 to 97.8 %" in CliRunner().invoke(cli.app, ["baselines"], env=variables).stdout
    assert CliRunner().invoke(cli.app, ["baselines"], env={"SEEDS": "0"}).exit_code == 2
