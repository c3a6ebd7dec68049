"""`make compare` as people and scripts see it: 80 columns, WHERE, SORT, ALL, RUN, CSV and JSON."""

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.data.dataset import DataFiles, open_dataset
from pipeline.evaluation.comparison import table, words
from pipeline.evaluation.comparison.model import (
    AgainstBest,
    Comparison,
    Group,
    Pair,
    RecipeRow,
    RunRow,
    Scores,
)
from tests.scored_runs import ScoredRuns, printed, upload

SHARES = st.floats(0, 1)
INTERVALS = st.tuples(SHARES, SHARES).map(lambda ends: (min(ends), max(ends)))
LOSSES = st.floats(0, 40)
P_VALUES = st.floats(0, 1) | st.sampled_from([5e-324, 1.23456789012e-12, 9.9999e-301, 1e-300])
IDS = st.from_regex(r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}\Z")
NAMES = IDS | st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=60)

SCORES = st.builds(
    Scores,
    accuracy=SHARES,
    accuracy_interval=INTERVALS,
    log_loss=LOSSES,
    log_loss_interval=st.tuples(LOSSES, LOSSES),
    calibration_error=SHARES,
    calibration_error_interval=INTERVALS,
    rows=st.integers(1, 10**7),
    one_fold_a_row=st.booleans(),
    rows_also_chose=st.booleans(),
    expected_public=INTERVALS,
)
TESTS = st.builds(
    AgainstBest,
    difference=st.floats(-1, 0),
    interval=st.tuples(st.floats(-1, 0), st.floats(-1, 1)),
    p_value=P_VALUES,
    p_holm=P_VALUES,
    method=st.sampled_from(["mcnemar", "crossed"]),
    only_this_right=st.none() | st.integers(0, 10**6),
    only_best_right=st.none() | st.integers(0, 10**6),
    rows_needed=st.none() | st.integers(1, 10**15),
    seeds_needed=st.none() | st.integers(2, 10**9),
)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    """A group of one recipe or more with a run each."""
    names = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    runs, recipes = [], []
    for number, name in enumerate(names):
        scores, recipe = draw(SCORES), draw(NAMES)
        run = RunRow(
            run=name,
            recipe=recipe,
            recipe_row=number,
            seeds=[0],
            state=draw(st.sampled_from(["done", "interrupted"])),
            created_at="",
            parents=[],
            members=1,
            checkpoints=1,
            epochs=draw(st.integers(0, 10**12)),
            minutes=draw(st.floats(0, 10**6)),
            scores=scores,
            test_accuracy=draw(st.none() | SHARES),
            public_score=draw(st.none() | SHARES),
            private_score=None,
            hidden_score=None,
            submitted_at="",
            after_reveal=draw(st.booleans()),
        )
        runs.append(run)
        recipes.append(
            RecipeRow(
                recipe=recipe,
                runs=[name],
                best_run=name,
                seeds=draw(st.lists(st.integers(0, 2**64), min_size=1, max_size=12, unique=True)),
                settings=draw(
                    st.dictionaries(NAMES, NAMES | st.integers() | st.none(), max_size=9)
                ),
                scores=scores,
                deviation=draw(st.none() | SHARES),
                minutes=run.minutes,
                against_best=draw(TESTS) if number else None,
            )
        )
    return Group(source=draw(NAMES), split="s" * 64, recipes=recipes, runs=runs)


@settings(max_examples=60, deadline=None)
@given(groups(), st.lists(IDS, min_size=2, max_size=2), P_VALUES, st.integers(80, 250))
def test_no_line_is_too_long_and_no_id_accuracy_or_p_value_is_cut(
    group: Group, pair: list[str], p_value: float, width: int
) -> None:
    pairs = [Pair(pair[0], pair[1], 7, 0.5, 0.25, p_value, 1, 2)]
    result = Comparison([group], pairs, [], [], {})
    shown = printed(table.rendered(result, width, show_all=True), width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    whole = "".join(shown.split())  # a long name goes on in the next line
    for run in group.runs:
        assert run.run in whole
        assert words.share(run.scores.accuracy) in shown
    for row in group.recipes:
        assert "".join(words.recipe_name(row.recipe).split()) in whole
        if row.against_best:
            assert words.p_equals(row.against_best.p_holm) in shown
    assert all(name in whole for name in pair)
    assert words.p_equals(p_value) in whole


P_VALUES_WRITTEN = {
    1.0: "1",
    0.03125: "0.0312",
    0.001: "0.001",
    0.00099: "0.00099",
    1.31e-17: "1.3e-17",
    1e-300: "1e-300",
    5e-324: "<1e-300",
    0.0: "<1e-300",
}


@pytest.mark.parametrize(("value", "written"), P_VALUES_WRITTEN.items())
def test_a_p_value_is_never_0(value: float, written: str) -> None:
    assert words.p_value(value) == written


@pytest.fixture
def make(tmp_path: Path) -> ScoredRuns:
    return ScoredRuns(tmp_path / "runs")


def invoke(make: ScoredRuns, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run `compare` on these runs; return its exit code, stdout and stderr."""
    root = str(make.store.folder.parent)
    done = CliRunner().invoke(app, ["compare", *arguments, "--root", root], env=variables)
    return done.exit_code, done.stdout, str(done.exception or done.stderr)


@pytest.fixture
def three(make: ScoredRuns) -> ScoredRuns:
    make("fast-s0", [0], batch_size=64, recipe_name="fast")
    make("fast-s1", [0, 1, 2], batch_size=64, seed=1, recipe_name="fast")
    make("quick-s0", [*range(9)], batch_size=128)
    make("both", [0], parents=["fast-s0", "quick-s0"], recipe_name="fast + quick")
    return make


def test_the_default_view_has_recipes_and_says_what_to_submit(three: ScoredRuns) -> None:
    code, shown, _ = invoke(three)
    assert code == 0
    assert "Submit fast + quick: make submit RUN=both" in shown
    assert "0.99500 +- 0.00354" in shown
    assert "2 seeds: 0, 1" in shown
    assert "training.batch_size=128" in shown
    assert "fast-s1" not in shown
    code, every, _ = invoke(three, ALL="1")
    assert {"fast-s0", "fast-s1", "quick-s0", "both"} <= set(every.split())
    assert invoke(three, ALL="2")[0] != 0


SELECTED = {
    "recipe=fast": "fast-s0 fast-s1",
    "recipe=fast,quick": "fast-s0 fast-s1 quick-s0 both",
    "recipe!=fast": "quick-s0 both",
    "seed=1": "fast-s1",
    "seed<1 kind=training": "fast-s0 quick-s0",
    "kind!=training": "both",
    "status=done run=fast": "fast-s0 fast-s1",
    "source=practice training.batch_size>64": "quick-s0",
    "seed<=0 training.batch_size>=64": "fast-s0 quick-s0",
    "training.batch_size=64,65": "fast-s0 fast-s1",
    "training.batch_size!=64": "quick-s0",
    "network.dropout=none split=ssss run!=quick": "fast-s0 fast-s1",
    "augmentation.engine=none": "",
    "network.dropout<0.5": "",
}


@pytest.mark.parametrize("where", SELECTED)
def test_where_selects_runs(three: ScoredRuns, where: str) -> None:
    code, shown, _ = invoke(three, "--json", WHERE=where)
    assert code == 0
    runs = {run["run"] for group in json.loads(shown)["groups"] for run in group["runs"]}
    assert runs == set(SELECTED[where].split())
    if not runs:
        assert invoke(three, WHERE=where)[1].startswith("none of 4 runs fits WHERE; leave it out")


REFUSED: list[tuple[dict[str, str], str]] = [
    ({"WHERE": "recip=fast"}, r"unknown key 'recip' \(did you mean recipe\?\); allowed are recipe"),
    ({"WHERE": "batch_size=3"}, r"'batch_size' \(did you mean training.batch_size\?\)"),
    ({"WHERE": "recipe=fsat"}, r"'fsat' for recipe \(did you mean fast\?\); it must be one of"),
    ({"WHERE": "status=dnoe"}, r"'dnoe' for status \(did you mean done\?\); it must be one of"),
    ({"WHERE": "kind=average,trainig"}, r"'trainig' for kind \(did you mean training\?\)"),
    ({"WHERE": "source=kagle"}, r"'kagle' for source \(did you mean kaggle\?\)"),
    ({"WHERE": "seed=one"}, "'one' for seed; a whole number is needed"),
    ({"WHERE": "seed<one"}, "'one' for seed; a number is needed after <"),
    ({"WHERE": "recipe<3"}, "'recipe<3', but recipe is no number; use = or !="),
    ({"WHERE": "run=zzz"}, "'zzz' for run, with which no run of the runs begins"),
    ({"WHERE": "training.batch_size=x"}, "'x' for training.batch_size; it must be a whole number"),
    ({"WHERE": "training.batch_size="}, "'' for training.batch_size; it must be a whole number"),
    ({"WHERE": "augmentation.engine=wrp"}, r"\(did you mean warp\?\); it must be 'warp', 'keras'"),
    ({"WHERE": "augmentation.engine<3"}, "but augmentation.engine is no number"),
    (
        {"WHERE": "fast"},
        "WHERE holds 'fast'; each word must be a key, one of = != < <= > >=, and a",
    ),
    ({"WHERE": "recipe='fast"}, "No closing quotation; write WHERE="),
    ({"WHERE": "\x1b[1m=1"}, r"unknown key '\\\\?x1b\[1m'"),
    ({"WHERE": "a=" + "b" * 10_000}, "at most 10,000 characters are allowed"),
    ({"SORT": "minuts"}, r"SORT is 'minuts' \(did you mean minutes\?\); it must be one of"),
    ({"RUN": "fast-s0"}, "RUN is 'fast-s0'; make compare takes .* two runs, .*RUN=\"a b\""),
    ({"RUN": "fast-s0 fast-s0"}, "twice the same run; give the ids of two runs"),
    ({"RUN": "fast-s0 zzz"}, "RUN is 'zzz': no run begins with it"),
    ({"RUN": "fast-s0 fast-s1", "WHERE": "seed=1"}, "takes no WHERE; leave that out, or RUN"),
]


@pytest.mark.parametrize(("variables", "message"), REFUSED, ids=str)
def test_what_cannot_be_is_told_in_one_line(
    three: ScoredRuns, variables: dict[str, str], message: str
) -> None:
    code, shown, error = invoke(three, **variables)
    assert (code, shown) == (1, "")
    assert re.search(message, error), error
    assert error.isprintable()


@pytest.mark.parametrize(
    ("order", "recipes"),
    [
        ("accuracy", "both fast-s0 quick-s0"),
        ("minutes", "quick-s0 both fast-s0"),
        ("public", "quick-s0 both fast-s0"),
        ("recipe", "fast-s0 both quick-s0"),
        ("newest", "both quick-s0 fast-s0"),
        ("calibration", "quick-s0 fast-s0 both"),
    ],
)
def test_sort_orders_recipes_and_runs(three: ScoredRuns, order: str, recipes: str) -> None:
    quick = three.store.get("quick-s0")
    quick.record.timings = {"training_seconds": 6}
    quick.save()
    ledger = three.store.folder.parent / "submissions" / "ledger.csv"
    ledger.parent.mkdir()
    uploads = [upload([*range(9)], 0.9), upload([0], 0.8)]
    pd.DataFrame([one.model_dump() for one in uploads]).to_csv(ledger, index=False)
    code, shown, error = invoke(three, "--json", SORT=order)
    assert code == 0, error
    (group,) = json.loads(shown)["groups"]
    assert [row["best_run"] for row in group["recipes"]] == recipes.split()
    for run in group["runs"]:
        assert run["run"] in group["recipes"][run["recipe_row"]]["runs"]


def test_json_and_csv_hold_the_same_figures(three: ScoredRuns) -> None:
    _, as_json, _ = invoke(three, "--json")
    code, as_csv, _ = invoke(three, "--csv")
    assert code == 0
    (group,) = json.loads(as_json)["groups"]
    lines = list(csv.DictReader(io.StringIO(as_csv, newline=""), strict=True))
    assert [line["run"] for line in lines] == [run["run"] for run in group["runs"]]
    for line, run in zip(lines, group["runs"], strict=True):
        recipe = group["recipes"][run["recipe_row"]]
        assert float(line["scores.accuracy"]) == run["scores"]["accuracy"]
        assert float(line["recipe.scores.accuracy"]) == recipe["scores"]["accuracy"]
        low, high = recipe["scores"]["accuracy_interval"]
        assert float(line["recipe.scores.accuracy_interval.low"]) == low
        assert float(line["recipe.scores.accuracy_interval.high"]) == high
        assert line["recipe.runs"].split() == recipe["runs"]
        size = recipe["settings"].get("training.batch_size", "")
        assert line["recipe.settings.training.batch_size"] == str(size)
        test = recipe["against_best"]
        assert line["recipe.against_best.p_holm"] == (str(test["p_holm"]) if test else "")
    assert invoke(three, "--csv", "--json")[0] == 1


def test_a_text_of_a_csv_is_no_formula(make: ScoredRuns) -> None:
    make("a", [0], recipe_name="@SUM(A1)")
    (line,) = csv.DictReader(io.StringIO(invoke(make, "--csv")[1]))
    assert line["recipe"] == "'@SUM(A1)"


def test_two_runs_are_shown_in_depth(make: ScoredRuns, small_digits: Path, tmp_path: Path) -> None:
    digits = shutil.copytree(small_digits, tmp_path / "digits")
    files = DataFiles(digits / "train.csv", digits / "test.csv", full_size=False)
    data: dict[str, Any] = {
        "source": str(digits),
        "data_fingerprint": open_dataset(files).fingerprint,
    }
    history = "epoch,val_loss,val_accuracy\n1,0.5,0.9\n2,0.1,0.99\n"
    for run in (
        make("a", [0, 1, 2], batch_size=64, seed=1, recipe_name="fast", **data),
        make("b", [1, 2, *range(3, 9)], batch_size=128, **data),
    ):
        run.member_folder(0).mkdir(parents=True)
        (run.member_folder(0) / "history.csv").write_text(history)
    code, shown, _ = invoke(make, RUN="a b")
    assert code == 0
    assert all(len(line) <= 80 for line in shown.splitlines() if not line.startswith("wrote"))
    lines = [line.split() for line in shown.splitlines()]
    for line in (
        ["recipe", "fast", "quick"],
        ["seed", "1", "0"],
        ["training.batch_size", "64", "128"],
        ["accuracy", "0.99250", "0.98000"],
    ):
        assert line in lines
    assert "B minus A: -0.01250 [" in shown
    assert "Only A is right: 6 rows (3, 4, 5, 6, 7, 8)" in shown
    assert "Only B is right: 1 row (0)" in shown
    # Exact McNemar test by hand: six rows against one.
    assert "p=0.125 (exact McNemar test): not distinguishable" in " ".join(shown.split())
    for subject in ("digits", "curves"):
        path = make.store.folder / "compare" / f"a-b-{subject}.png"
        assert f"wrote {path}" in shown
        assert Image.open(path).size > (900, 300)
    _, as_json, warnings = invoke(make, "--json", RUN="a b")
    assert json.loads(as_json)["only_first_right"] == [3, 4, 5, 6, 7, 8]
    assert "wrote" in warnings
    shutil.rmtree(digits)
    (make.store.folder / "a" / "members" / "0" / "history.csv").write_text("epoch\nx\n")
    code, shown, warnings = invoke(make, RUN="a b")
    assert (code, "B minus A" in shown) == (0, True)
    assert f"no picture of the digits: SOURCE is {str(digits)!r}" in warnings
    assert "no picture of the curves: " in warnings
    assert "history.csv cannot be drawn (could not convert string to float: 'x')" in warnings


def test_runs_without_common_rows_cannot_be_compared(make: ScoredRuns) -> None:
    make("a", [0])
    make("b", [0], data_fingerprint="e" * 64, split_fingerprint="t" * 64)
    code, _, error = invoke(make, RUN="a b")
    assert code == 1
    assert "runs a and b have no validation rows in common (of practice and practice" in error
