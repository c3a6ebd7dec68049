"""What the benchmarks make of their measurements."""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.common.files import sha256
from pipeline.competitions.practice.draw import draw
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from tests.bench import cost_data, curves, hidden, paired, race
from tests.bench.commands import images_per_second
from tests.bench.public_score import Answers, fixed, redrawn
from tests.bench.timing import interleave


def _history(*accuracies: float) -> pd.DataFrame:
    return pd.DataFrame({"val_accuracy": accuracies, "seconds": [30.0] * len(accuracies)})


def test_ratios_are_taken_repeat_by_repeat() -> None:
    plain, ours = iter([100.0, 50.0, 200.0]), iter([300.0, 100.0, 250.0])
    sides = {"plain": lambda: next(plain), "ours": lambda: next(ours)}
    result = interleave("claim", "images/s", sides, repeats=3)
    assert result.ratios("ours", "plain") == [3.0, 2.0, 1.25]
    first, *lines = str(result).splitlines()
    assert first.startswith("claim (median of 3 repeats; ratios")
    assert [" ".join(line.split()) for line in lines] == [
        "[1] plain 100 images/s",
        "[2] ours 250 images/s 2.00 times [1] (1.25 to 3.00)",
    ]


def test_the_time_to_a_target_ends_with_its_first_epoch() -> None:
    history = _history(0.97, 0.991, 0.990, 0.995)
    assert race.seconds_to(0.991, history) == 60
    assert race.seconds_to(0.995, history) == 120
    assert math.isinf(race.seconds_to(0.996, history))
    history.loc[3, "seconds"] = 20.0
    assert race.seconds_at_best(0.991, history) == 40
    assert math.isinf(race.seconds_at_best(0.996, history))


def test_an_epoch_that_is_not_kept_wins_no_race() -> None:
    assert race.keeps_last_epoch_alone("fast")
    assert not race.keeps_last_epoch_alone("notebook")
    lost = race.last_epoch_alone(_history(0.97, 0.996, 0.991))
    assert race.seconds_to(0.99, lost) == 90
    assert math.isinf(race.seconds_to(0.995, lost))


def test_sides_with_a_file_per_seed_are_compared_as_recipes(tmp_path: Path) -> None:
    labels = np.tile(np.arange(10, dtype=np.uint8), 100)
    for side, wrong in (("a", 5), ("b", 20)):
        for seed in (0, 1):
            probabilities = np.eye(10, dtype=np.float32)[labels]
            probabilities[10 * seed : 10 * seed + wrong] = 0.1  # the first class wins
            (tmp_path / side).mkdir(exist_ok=True)
            np.savez(tmp_path / side / f"{seed}.npz", probabilities=probabilities)
    a, b = (paired.correct(tmp_path / side, labels) for side in "ab")
    digits = np.load(tmp_path / "a" / "0.npz")["probabilities"].argmax(axis=1)
    np.savez(tmp_path / "a" / "kept", predicted=digits.astype(np.uint8))
    assert (paired.correct(tmp_path / "a" / "kept.npz", labels) == a[0]).all()
    text = paired.describe(("a", "b"), a, b)
    assert text.startswith("a: 0.99600 (0.99600, 0.99600) on 1,000 hidden rows (95 % interval 0.9")
    assert "the first minus the second: +0.01400 (95 % interval " in text
    assert "only the first" not in text
    alone = paired.describe(("a", "b"), a[:1], b[:1])
    assert alone.endswith("only the first predicts 14 rows correctly, only the second 0")
    with pytest.raises(SystemExit, match=r"has no \.npz file"):
        paired.correct(tmp_path, labels)


def test_the_rate_of_two_processes_counts_the_time_of_both(tmp_path: Path) -> None:
    for folder, ended in (("first", 1_000.0), ("second", 1_030.0)):
        path = tmp_path / folder / "history.csv"
        path.parent.mkdir()
        _history(0.9, 0.9, 0.9).to_csv(path, index=False)
        os.utime(path, (ended, ended))
    # Two epochs each count: 60 s that began and ended 30 s apart.
    assert images_per_second(tmp_path, rows=900) == pytest.approx(4 * 900 / 90)


def test_a_race_that_nobody_wins_has_no_ratio() -> None:
    won = race.summary({"notebook": [1000.0, 1200.0, math.inf], "fast": [50.0, 60.0, 70.0]})
    assert won.splitlines() == [
        "notebook: median of 3 seeds 1,200 s",
        "fast: median of 3 seeds 60 s, 0.050 of notebook's",
    ]
    lost = race.summary({"notebook": [1000.0, math.inf, math.inf], "fast": [50.0, 60.0, 70.0]})
    assert lost.splitlines() == [
        "notebook: median of 3 seeds never",
        "fast: median of 3 seeds 60 s",
    ]


def test_the_table_of_cost_curves_has_medians_and_dashes() -> None:
    seeds = [_history(0.98, 0.992), _history(0.991, 0.993), _history(0.97, 0.9925)]
    parts = [cost_data.of_history("fast", number, seed) for number, seed in enumerate(seeds)]
    point = pd.DataFrame([["champion", 0, 26.0, 0.9963]], columns=curves.COLUMNS)
    *_, row, last = curves.table(pd.concat([*parts, point])).splitlines()
    assert row == "| fast | 0.5 | 1.0 | - | - | 0.99250 | 0.99250 | 1.0 | 3 |"
    assert last == "| champion | - | - | - | - | - | 0.99630 | 26.0 | 1 |"


def test_the_cost_curves_are_drawn_from_the_data_beside_them() -> None:
    data = curves.read()
    figure = curves.draw(data)
    lines = iter(figure.axes[0].lines)
    trainings = data.groupby(["side", "training"], sort=False)
    for (_, epochs), line in zip(trainings, lines, strict=True):
        drawn = np.asarray(line.get_xydata())[-len(epochs) :]
        best = 1 - epochs["val_accuracy"].cummax()
        np.testing.assert_allclose(drawn, np.column_stack([epochs["minutes"], best]))
    sides = list(dict.fromkeys(data["side"]))
    assert [text.get_text() for text in figure.axes[0].texts] == sides
    (legend,) = figure.legends
    for side, text in zip(sides, legend.get_texts(), strict=True):
        assert text.get_text().startswith(f"{side}: {curves.MEANING[side]} (")
    with Image.open(curves.PICTURE) as picture:
        assert picture.info["Source"] == sha256(curves.DATA), "python -m tests.bench.curves"


def test_the_table_of_results_is_that_of_the_data() -> None:
    results = curves.DATA.with_name("RESULTS.md").read_text()
    assert curves.table(curves.read()) in results


def test_redrawn_rows_are_covered_as_often_as_claimed_and_easy_hidden_rows_seldom() -> None:
    random = np.random.default_rng(0)
    validation, hidden = Answers(6_265, 35), Answers(27_860, 140)
    assert 0.94 <= redrawn(validation, hidden, 4_000, random) <= 0.975
    assert fixed(validation, hidden, 1_000, random) > 0.99
    assert fixed(Answers(6_240, 60), hidden, 1_000, random) < 0.2


def test_kept_predictions_are_scored_on_their_permutations_hidden_rows(tmp_path: Path) -> None:
    labels = mnist.read_labels(MNIST_FOLDER)
    wrong = {"fifteen-0": [0, 1, 2], "champion-0": [2, 3], "champion-1": [5]}
    for name, rows in wrong.items():
        predicted = draw(labels, int(name[-1])).hidden.labels.copy()
        predicted[rows] = (predicted[rows] + 1) % 10
        np.savez(tmp_path / name, predicted=predicted)
    kept = hidden.read(tmp_path, labels)
    lines = hidden.report(kept)
    assert lines[2:5] == [
        "| `fifteen` | 0 | 3 | 0.99989 [0.99969, 0.99996] |  |  |",
        "| `champion` | 0 | 2 | 0.99993 [0.99974, 0.99998] | 2 : 1 | 1 |",
        "| `champion` | 1 | 1 | 0.99996 [0.99980, 0.99999] |  |  |",
    ]
    assert lines[-1].startswith("champion, mean of 2 permutations: 0.99995 [0.9998")
    assert list(hidden.wrong_by_all(kept[:2])) == [2]
