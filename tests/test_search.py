"""`make search`: what is varied, the study, and a search that is killed and shared."""

import json
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from pipeline import networks, recipe
from pipeline.common.errors import PipelineError
from pipeline.executors.plan import arrange
from pipeline.search.record import SearchRecord, TrialRecord, read
from pipeline.search.space import Choice, Range, chosen_space, offered_space, own_values
from pipeline.search.text import result_lines
from pipeline.stages import search_measure, train
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from pipeline.stages.search_plan import SearchPlan
from tests.commands import command, wait_until

RATES = {"dropout": 0.4}
QUICK = own_values(recipe.load("quick"), RATES)
OFFERED = offered_space(QUICK, RATES)


def test_the_schema_offers_what_has_an_effect_and_holds_the_recipes_own_value() -> None:
    assert OFFERED["training.learning_rate"] == Range(0.0004, 0.01, log=True)
    assert OFFERED["training.batch_size"] == Range(32, 128, log=True, whole=True)
    assert OFFERED["reduce_on_plateau.patience"] == Range(1, 5, whole=True)
    without_effect = {"training.momentum", "training.weight_decay", "schedule.warm_up"}
    other_layers = {"network.convolution_dropout"}
    assert not OFFERED.keys() & (without_effect | other_layers)
    wide = own_values(recipe.load("quick", "augmentation.rotation_range=30"), RATES)
    assert offered_space(wide, RATES)["augmentation.rotation_range"] == Range(0, 30)
    fast = recipe.load("fast")
    rates = networks.own_dropout_rates(fast.network.name)
    assert {"training.momentum", "training.weight_decay", "schedule.warm_up"} <= offered_space(
        own_values(fast, rates), rates
    ).keys()
    assert "augmentation.zoom_range" not in offered_space(
        own_values(recipe.load("quick", "augmentation.engine=none"), RATES), RATES
    )


def test_a_person_chooses_what_is_varied() -> None:
    words = "network.dropout training.learning_rate=0.003..0.1 training.optimizer=adam,sgd"
    assert chosen_space(words, OFFERED, QUICK) == {
        "network.dropout": Range(0, 0.6),
        "training.learning_rate": Range(0.002, 0.1, log=True),  # holds the recipe's own
        "training.optimizer": Choice(("adam", "sgd")),
    }
    assert chosen_space("", OFFERED, QUICK) == OFFERED


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            "training.learning_rat",
            r"the unknown key 'training.learning_rat'; did you mean training",
        ),
        ("training.epochs", r"gives training.epochs, for which this recipe has no range; write"),
        ("training.epochs=3", r"gives training.epochs as '3'; it must be <low>..<high>, or two"),
        ("training.batch_size=64,64", r"gives training.batch_size as '64,64'; it must be"),
        ("training.epochs=9..3", r"gives training.epochs as '9..3'; both ends must be whole"),
        ("training.learning_rate=a..b", r"both ends must be numbers"),
        ("members.folds=2,5", r"gives members.folds, which is the same in all trials"),
        ("network.dropout network.dropout", r"gives network.dropout twice"),
        ("network.convolution_dropout=0.1..0.2", r"but the recipe has no number there"),
    ],
)
def test_what_cannot_be_varied_is_refused(words: str, problem: str) -> None:
    with pytest.raises(PipelineError, match=problem):
        chosen_space(words, OFFERED, QUICK)


def test_trials_and_measurement_have_the_rows_and_seeds_that_they_should() -> None:
    plan = SearchPlan("champion", "split.seed=3", 7, "", 60, 2)
    trial = plan.one_network({"training.learning_rate": 0.01})
    assert (trial.members.count, trial.members.folds, trial.split.seed, trial.seed) == (1, 0, 3, 7)
    assert trial.training.learning_rate == 0.01
    assert plan.networks(3).members.count == 3
    assert arrange("auto", plan.networks(3), cores=2, gpus=0).at_once == 2
    measured = [plan.measured({}, number) for number in range(2)]
    assert [(one.seed, one.split.seed, one.members.count) for one in measured] == [
        (8, 4, 10),
        (9, 4, 10),
    ]
    fifteen = SearchPlan("fifteen", "split.validation_fraction=0.2", None, "", 60, 2)
    assert fifteen.measured({}, 0).members.folds == 5
    assert fifteen.whole({}).members.hold_outs == 15


class StoredRun:
    """A run that has predicted some rows, digit 1 everywhere."""

    def __init__(self, rows: list[int]) -> None:
        self.arrays = {
            "rows": np.array(rows),
            "labels": np.array(rows) % 2,
            "probabilities": np.eye(10)[[1] * len(rows)],
        }

    def load_arrays(self, part: str) -> dict[str, Any]:
        return self.arrays


def test_runs_are_compared_on_the_rows_that_all_of_them_predict() -> None:
    runs: list[Any] = [StoredRun([3, 1, 2, 0]), StoredRun([0, 1, 3])]
    rows = search_measure._common_rows(runs)
    assert list(rows) == [0, 1, 3]
    assert search_measure._correct(runs, rows).tolist() == [[False, True, True]] * 2


def test_a_switch_may_vary_together_with_what_depends_on_it() -> None:
    plan = SearchPlan("quick", "augmentation.engine=none", None, "", 60, 2)
    own = own_values(plan.start, RATES)
    words = "augmentation.engine=none,keras augmentation.zoom_range=0.1..0.2"
    space = chosen_space(words, offered_space(own, RATES), own)
    assert plan.check("augmentation.zoom_range", 0.2, space).augmentation.engine == "keras"
    drawn = {"augmentation.engine": "none", "augmentation.zoom_range": 0.2}
    assert plan.one_network(drawn).augmentation.engine == "none"
    with pytest.raises(PipelineError, match=r"zoom_range is 0.2, which has no effect"):
        plan.check("augmentation.zoom_range", 0.2, {"augmentation.zoom_range": Range(0.1, 0.2)})


def test_a_search_that_is_under_way_has_no_verdict_yet() -> None:
    record = SearchRecord(id="quick-1", recipe_name="quick", rows=90)
    assert result_lines(record) == ["The trial with the recipe's own settings is not complete yet."]
    record.trials = [
        TrialRecord(number=number, state="completed", value=0.9 + number / 100) for number in (0, 1)
    ]
    assert result_lines(record)[-1] == "it is not measured with new seeds and folds yet"


WORDS = ["search", "--recipe", "quick", "--set", "training.epochs=2 members.folds=2"]
WORDS += ["--seeds", "1", "--vary", "training.learning_rate=0.002,0.004,1e25 network.dropout"]


def found(root: Path) -> tuple[SearchRecord, Path]:
    """Return the record of the only search in `root`, and its folder."""
    (folder,) = (root / "runs" / "searches").iterdir()
    return read(folder), folder


def check(root: Path, outputs: Sequence[str]) -> None:
    """Check what a search has left, of which each command's last words are in `outputs`."""
    record, folder = found(root)
    assert record.start is not None
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}")
    numbers = [one.number for one in study.trials]
    assert [one.number for one in record.trials] == numbers
    assert list(pd.read_csv(folder / "trials.csv")["number"]) == numbers
    for one in record.trials:
        diverges = one.settings.get("training.learning_rate") == 1e25
        assert one.state in (("failed", "interrupted") if diverges else ALIVE), one
        assert ("nan" in one.reason) == (one.state == "failed")
    best = record.completed[0]
    if not best.number:
        assert all("no better settings were found" in output for output in outputs)
        return
    (measured,) = record.measurements
    assert (measured.trial, measured.rows) == (best.number, 600 - record.rows)
    assert (measured.seeds, measured.folds) == ([1], 2)
    winner_file = root / record.recipe_file
    winner = recipe.load(str(winner_file))
    assert winner.network.dropout == best.settings["network.dropout"]
    assert (winner.training.epochs, winner.members.folds) == (2, 2)
    assert f"trial {best.number}" in winner_file.read_text()
    runs = {json.loads(path.read_text())["id"] for path in root.glob("runs/*/run.json")}
    assert runs == {*measured.start_runs, *measured.winner_runs}
    assert all(f"{measured.winner_accuracy:.5f}" in output for output in outputs)


ALIVE = ("completed", "pruned", "interrupted")


@pytest.mark.slow
def test_a_killed_search_continues_its_trials(small_digits: Path, tmp_path: Path) -> None:
    words = [*WORDS, "--source", str(small_digits), "--minutes", "1"]
    with command(tmp_path, *words) as killed:
        killed.read_until(r"^search ")
        pattern = "runs/searches/*/trials/*/resume.npz"
        wait_until(lambda: list(tmp_path.glob(pattern)), "no epoch ended", seconds=100)
        os.killpg(killed.process.pid, signal.SIGKILL)
    _, folder = found(tmp_path)
    left = {int(path.parent.name) for path in folder.glob("trials/*/resume.npz")}
    with command(tmp_path, *words) as second:
        output = second.finish()
    check(tmp_path, [output])
    ended = {one.number: one for one in found(tmp_path)[0].trials if one.state == "completed"}
    assert left & ended.keys()
    assert all(ended[number].epochs == 2 for number in left & ended.keys())
    with command(tmp_path, *words) as third:
        assert third.finish().splitlines()[-3:] == output.splitlines()[-3:]


@pytest.mark.slow
def test_a_search_is_killed_three_times_and_shared_by_two_commands(
    small_digits: Path, tmp_path: Path
) -> None:
    words = [*WORDS, "--source", str(small_digits), "--minutes", "3"]
    for _ in range(3):
        with command(tmp_path, *words) as killed:
            killed.read_until(r"^trial \d+")
            os.killpg(killed.process.pid, signal.SIGKILL)
    with command(tmp_path, *words) as one, command(tmp_path, *words) as other:
        outputs = [one.finish(), other.finish()]
    check(tmp_path, outputs)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--executor", "ray"], "EXECUTOR is 'ray'; make search trains on this machine: use one"),
        (["--minutes", "0"], "MINUTES is '0'; a whole number from 1 to 100000 is needed"),
        (["--vary", "training.learning_rate=-1..1"], "training.learning_rate is -1; it must be a"),
        (
            ["--vary", "training.optimizer=adam,sdg"],
            "training.optimizer is 'sdg'; it must be 'adam'",
        ),
        (["--set", "members.folds=500"], "members.folds: is 500; 2 to 49 are allowed"),
        (["--vary", "network.name=bn_cnn,vgg"], "recipe key network.name is 'vgg'; it must be one"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(
    words: list[str], error: str, small_digits: Path, tmp_path: Path
) -> None:
    with command(tmp_path, "search", "--source", str(small_digits), *words) as refused:
        refused.process.wait(timeout=100)
        (line,) = refused.errors().splitlines()
    assert line.startswith("error: ")
    assert error in line
    assert refused.process.returncode == 1
    assert not list(tmp_path.glob("runs/searches/*"))


def test_a_measurement_waits_for_the_command_that_trains_its_run(
    small_digits: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    settings = recipe.load("mlp_50", "training.epochs=1")
    context = Context(tmp_path, Request(source=str(small_digits)), lines.append)
    own = context.with_recipe(settings)
    run = own.store.create(train._describe(own, None))
    other = ExitStack()
    other.enter_context(run.held())

    def leave_it(seconds: float) -> None:
        if sum(line.startswith("waiting") for line in lines):
            other.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_measure, "sleep", leave_it)
        measured = search_measure._trained(context, settings, "the recipe itself")
    assert measured.id == run.id
    assert measured.record.scores
    (waiting,) = [line for line in lines if line.startswith("waiting")]
    assert waiting.startswith(f"waiting: run {run.id} is being worked on by process {os.getpid()}")


def test_a_damaged_study_is_named(small_digits: Path, tmp_path: Path) -> None:
    words = [*WORDS, "--source", str(small_digits), "--minutes", "1"]
    with command(tmp_path, *words) as killed:
        killed.read_until(r"^  network.dropout")
        os.killpg(killed.process.pid, signal.SIGKILL)
    (study,) = tmp_path.glob("runs/searches/*/study.db")
    study.write_bytes(b"no database")
    with command(tmp_path, *words) as refused:
        refused.process.wait(timeout=100)
        (line,) = refused.errors().splitlines()
    assert "study.db cannot be used (file is not a database); mend that, or move" in line
    assert study.read_bytes() == b"no database"
