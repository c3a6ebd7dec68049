"""`make sweep`: the grid, its runs, and what happens when they fail or are killed."""

import json
import os
import signal
from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.recipe import parse_grid
from pipeline.stages.sweep import Combination
from tests.commands import Command, command

SMALL = ["--recipe", "mlp_1000_dropout", "--set", "training.epochs=2"]
RATES = ["--sweep", "training.learning_rate=0.003,1e25 network.dropout=0.2,0.3"]


def test_a_grid_has_all_combinations() -> None:
    assert parse_grid("training.epochs=2,3 training.optimizer=adam,sgd") == [
        {"training.epochs": 2, "training.optimizer": "adam"},
        {"training.epochs": 2, "training.optimizer": "sgd"},
        {"training.epochs": 3, "training.optimizer": "adam"},
        {"training.epochs": 3, "training.optimizer": "sgd"},
    ]


def test_every_combination_comes_with_the_first_seed_before_any_with_the_second() -> None:
    words = "training.learning_rate=0.001,0.002"
    combinations = Combination.parse("quick", "training.epochs=3 seed=5", None, words, 2)
    found = [(one.recipe.seed, one.recipe.training.learning_rate) for one in combinations]
    assert found == [(5, 0.001), (5, 0.002), (6, 0.001), (6, 0.002)]
    assert {one.recipe.training.epochs for one in combinations} == {3}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", r"SWEEP is left out; give the values to try, as in SWEEP="),
        ("training.epochs", r"SWEEP holds 'training.epochs'; each word must be key=value"),
        ("training.epoch=2,3", r"the unknown key 'training.epoch'; did you mean training.epochs"),
        ("training.epochs=2,,3", r"gives training.epochs as '2,,3', where a value is missing"),
        ("training.epochs=2, 3", r"holds a blank between '2,' and '3'; separate values by commas"),
        ("training.epochs=2..9", r"gives training.epochs as '2..9', a range; make search takes"),
        ("training.learning_rate=1e-3,0.001", r"gives training.learning_rate the value 0.001 twi"),
        ("training.epochs=2 training.epochs=3", r"gives training.epochs twice; put all its values"),
        ("seed=0,1", r"gives seed; use SEEDS="),
        ("members.cpus=1,2", r"gives members.cpus, which all runs of a command share"),
        ("training.batch_size=64,32", r"SWEEP and SET both give training.batch_size"),
        (
            "training.epochs=0,2",
            r"quick.toml .*training.epochs=0: training.epochs is 0; it must be.*change it in SWEEP",
        ),
        ("training.momentum=0.8,0.9", r"training.momentum is 0.8, which has no effect"),
        (f"training.epochs={','.join(map(str, range(1, 502)))}", r"501 combinations, with SEEDS=2"),
    ],
)
def test_a_bad_grid_is_refused_before_anything_is_trained(words: str, problem: str) -> None:
    with pytest.raises(PipelineError, match=problem):
        Combination.parse("quick", "training.batch_size=64", None, words, 2)


def test_networks_of_all_combinations_are_checked_before_the_first_is_trained(
    small_digits: Path, tmp_path: Path
) -> None:
    words = ["sweep", "--source", str(small_digits), *SMALL]
    with command(tmp_path, *words, "--sweep", "network.name=mlp_1000_dropout,vgg") as refused:
        refused.process.wait(timeout=100)
        (line,) = refused.errors().splitlines()
    assert line.startswith("error: recipe key network.name is 'vgg'; it must be one of")
    assert not list(tmp_path.glob("runs/*/run.json"))


def records(root: Path) -> dict[str, str]:
    """Return when each finished run was made."""
    found = [json.loads(path.read_text()) for path in root.glob("runs/*/run.json")]
    return {one["id"]: one["created_at"] for one in found if one["status"] == "done"}


@pytest.mark.slow
def test_a_killed_sweep_continues_and_a_diverging_run_stops_no_other(
    small_digits: Path, tmp_path: Path
) -> None:
    words = ["sweep", "--source", str(small_digits), *SMALL, *RATES]
    with command(tmp_path, *words) as first:
        first.read_until("sweep 2 of 4")
        first.read_until("epoch  1/2")
        os.killpg(first.process.pid, signal.SIGKILL)
    before = records(tmp_path)
    assert len(before) == 1
    with command(tmp_path, *words) as second:
        output = second.process.stdout.read() if second.process.stdout else ""
        second.process.wait(timeout=200)
        errors = Command.errors(second)
    assert "is trained already" in output
    assert "continuing after epoch 1" in output
    assert second.process.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith("error: 2 of 4 runs failed (training.learning_rate=1e+25 network.drop")
    after = records(tmp_path)
    assert len(after) == 2
    assert before.items() <= after.items()
    assert len(list(tmp_path.glob("runs/*/run.json"))) == 4
    table = output[output.index("against the best") :]
    assert "network.dropout=0.2" in table
    assert "network.dropout=0.3" in table
    assert "1e+25" not in table
