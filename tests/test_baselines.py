"""The seed tutorials' systems: trained as they are listed, resumed, and tabulated."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import baselines as tables
from pipeline import networks, recipe
from pipeline.baselines import BASELINES, Baseline, Measurement, Row
from pipeline.runs import RunStore
from pipeline.stages.baselines import baselines

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
    seeds = {name for name in recipe.names() if name.startswith("seeds/")}
    assert [baseline.recipe for baseline in BASELINES][-1] == "bn_cnn"
    assert {baseline.recipe for baseline in BASELINES[:-1]} == seeds
    assert {Path(name).name for name in seeds} == {recipe.load(name).network.name for name in seeds}
    for name in seeds:
        made = recipe.load(name)
        networks.check(made.network.name, made.network.rates)
        assert made.augmentation.engine == "none"
        assert (made.checkpoints.keep_best, made.checkpoints.keep_last) == (0, 1)
        assert not made.reduce_on_plateau.enabled
        assert not made.early_stopping.enabled


@pytest.mark.parametrize(
    ("reported", "measured", "verdict"),
    [
        (0.980, 0.9800, "yes"),
        (0.980, 0.9786, "nearly, 0.14 points short"),
        (0.980, 0.9780, "no, 0.20 points short"),
        (None, 0.5, ""),
    ],
)
def test_the_verdict_compares_measured_with_reported(
    reported: float | None, measured: float, verdict: str
) -> None:
    row = Row(Baseline("x", "mnist", reported, "told"), [measurement(test=measured)])
    assert row.verdict == verdict


def test_several_seeds_give_mean_and_standard_deviation() -> None:
    accuracies = [0.97, 0.98, 0.987]
    several = [measurement(seed, test) for seed, test in enumerate(accuracies)]
    row = Row(Baseline("seeds/mlp_256", "mnist", 0.976, "97.6 %"), several)
    assert row.measured == pytest.approx(np.mean(accuracies))
    assert row.deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert row.gap == pytest.approx(0.02)
    assert row.cells() == [
        *["seeds/mlp_256", "203,530", "97.6 %", "97.90 +- 0.85 %", "10,000", "yes"],
        *["+2.00", "10", "60"],
    ]
    printed = tables.as_markdown([row])
    assert printed.startswith("seed tutorials, training seed 0, 1, 2, mean +- standard deviation\n")
    header, rule, cells = (line.split("|") for line in printed.splitlines()[2:])
    assert len(header) == len(rule) == len(cells) == len(tables.COLUMNS) + 2
    assert json.loads(json.dumps(row.as_json()))["measurements"][2]["test_accuracy"] == 0.987


def test_the_printed_table_shows_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row(BASELINES[0], [measurement()])
    tables.show([row])
    printed = capsys.readouterr().out
    assert all(cell in printed for cell in row.cells())


def test_baselines_are_trained_once_and_measured_on_real_digits(tmp_path: Path) -> None:
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
    stored = runs[0].load_arrays("test")
    accuracy = (stored["probabilities"].argmax(axis=1) == stored["labels"]).mean()
    assert rows[0].measurements[0].test_accuracy == pytest.approx(accuracy)
    assert (tmp_path / "runs" / "baselines.md").read_text() == tables.as_markdown(rows)
    ledger = pd.read_csv(tmp_path / "submissions" / "ledger.csv")
    assert list(ledger["hidden_score"]) == [one.test_accuracy for one in rows[1].measurements]
    told.clear()
    assert baselines(tmp_path, 2, told.append, systems) == rows
    assert sum("is trained already" in line for line in told) == 4
    assert not any("training mlp_50" in line for line in told)
