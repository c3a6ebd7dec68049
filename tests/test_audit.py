"""`make audit`: flipped labels, near duplicates, and what cannot be judged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.common.errors import PipelineError
from pipeline.data.dataset import DataFiles, open_dataset
from pipeline.data.digits import Digits
from pipeline.evaluation import png_files
from pipeline.evaluation.audit import suspects
from pipeline.evaluation.audit.duplicates import FARTHEST, listed, near_duplicates
from pipeline.runs import Run, RunStore, Scores
from pipeline.stages.audit import AuditResult
from tests.commands import command, plain_environment
from tests.scored_runs import LABELS, ScoredRuns, probabilities


def test_flipped_labels_come_first_and_cleanlab_names_them() -> None:
    flipped = np.arange(7, 400, 40)
    given = LABELS.copy()
    given[flipped] = (given[flipped] + 3) % 10
    table = suspects.rank(np.arange(400) + 1000, given, probabilities([]))
    assert sorted(table["row"][:10]) == list(flipped + 1000)
    assert list(table["suspicious"]) == [True] * 10 + [False] * 390
    first = table.iloc[0]
    assert (first["label"] - first["predicted"]) % 10 == 3
    assert first["probability"] == pytest.approx(0.9)
    assert first["label_probability"] == pytest.approx(0.1 / 9)


def test_copies_are_found_where_they_are_moved_noisy_or_labelled_otherwise(
    labelled: Digits,
) -> None:
    images, labels = labelled.images[:300].copy(), labelled.labels[:300].copy()
    noise = np.random.default_rng(0).normal(0, 4, (2, 28, 28, 1)).round().astype(int)
    images[100] = np.roll(images[0], (2, -1), axis=(0, 1))
    images[101] = np.clip(images[1] + noise[0], 0, 255)  # on ink and paper
    labels[[100, 101]] = labels[0], (labels[1] + 1) % 10
    test_images = labelled.images[300:500].copy()
    test_images[50] = np.clip(np.roll(images[2], 1, axis=0) + noise[1], 0, 255)
    table = near_duplicates(Digits(images, labels), test_images)
    pairs = table[["kind", "train_row", "other_row"]].to_numpy().tolist()
    assert pairs == [["train", 1, 101], ["train", 0, 100], ["test", 2, 50]]
    assert table["distance"][1] == 0
    assert table["distance"][[0, 2]].between(0.05, FARTHEST).all()
    assert list(table["label"]) == [labels[1], labels[0], labels[2]]
    assert list(table["other_label"].fillna(-1)) == [(labels[1] + 1) % 10, labels[0], -1]


def test_different_digits_are_no_duplicates(labelled: Digits) -> None:
    train = Digits(labelled.images[:600], labelled.labels[:600])
    assert len(near_duplicates(train, labelled.images[600:])) == 0


def test_images_that_are_all_faint_are_no_duplicates_of_each_other() -> None:
    images = np.random.default_rng(0).integers(0, 31, (40, 28, 28, 1), np.uint8)
    labels = np.zeros(40, np.uint8)
    assert len(near_duplicates(Digits(images, labels), images[:0])) == 0
    images[7] = images[3]
    assert len(near_duplicates(Digits(images, labels), images[:0])) == 1


def test_a_copy_is_listed_once_beside_a_row_that_contradicts_it(labelled: Digits) -> None:
    """So the list stays short where thousands of images are the same."""
    images = np.repeat(labelled.images[:1], 700, axis=0)
    labels = np.full(700, 5, np.uint8)
    labels[1] = 6
    table = near_duplicates(Digits(images, labels), images[:3])
    assert len(table) == 699 + 3
    assert (table["kind"] == "train").sum() == 699
    contradicted = table[table["label"] != table["other_label"]]
    assert list(contradicted["other_row"].iloc[[0, 1, -1]]) == [1, 2, 699]
    assert list(contradicted["train_row"].iloc[[0, 1, -1]]) == [0, 1, 1]
    assert contradicted.index[-1] == len(contradicted) - 1 == 698


def test_the_list_is_kept_with_the_data_and_made_again_if_damaged(
    small_digits: Path, tmp_path: Path
) -> None:
    files = DataFiles(small_digits / "train.csv", small_digits / "test.csv", full_size=False)
    dataset = open_dataset(files)
    _, path = listed(dataset, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"train,1,2,3,4,0.25\n")
    assert len(listed(dataset, tmp_path)[0]) == 1
    for damage in (b"kind,train_row\n", whole + b"train,x,2,3,4,0.25\n"):
        path.write_bytes(damage)
        assert len(listed(dataset, tmp_path)[0]) == 0
        assert path.read_bytes() == whole


@pytest.fixture
def audited(small_digits: Path, tmp_path: Path) -> Run:
    """A scored run on the rows of a folder, with some labels that it contradicts."""
    files = DataFiles(small_digits / "train.csv", small_digits / "test.csv", full_size=False)
    here: dict[str, Any] = {
        "source": str(small_digits),
        "data_fingerprint": open_dataset(files).fingerprint,
    }
    make = ScoredRuns(tmp_path / "runs")
    runs = [make("good-s0", range(5), **here), make("worse-s0", range(30), **here)]
    for run, accuracy in zip(runs, (0.98, 0.9), strict=True):
        run.record.scores = Scores(
            validation_accuracy=accuracy, validation_rows=400, interval=(0, 1), log_loss=1
        )
        run.save()
    return runs[0]


def run_audit(root: Path, *words: str, python: str = "") -> subprocess.CompletedProcess[str]:
    return run_pipeline("audit", "--root", str(root), *words, python=python)


def run_pipeline(*words: str, python: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line, after the statements `python` if there are any."""
    program = ["-c", f"{python}; from pipeline.cli import main; main()"] if python else []
    return subprocess.run(
        [sys.executable, *(program or ["-m", "pipeline"]), *words],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_the_best_run_is_judged_and_leaves_a_table_a_picture_and_pairs(
    audited: Run, small_digits: Path
) -> None:
    root = audited.folder.parents[1]
    done = run_audit(root, "--source", str(small_digits), "--count", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    start = lines.index("run good-s0: 400 of 600 labelled rows judged")
    assert lines[start + 1] == 'a run with folds judges all of them (SET="members.folds=5")'
    assert "5 labels look wrong to cleanlab." in done.stdout
    assert max(len(line) for line in lines[start:] if not line.startswith("wrote ")) <= 80
    (first,) = [line for line in done.stdout.splitlines() if line.startswith("   1 ")]
    assert first.split() == ["1", "0", "0", "1", "0.9000", "0.0111"]
    table = suspects.read(audited)
    assert table is not None
    assert len(table) == 400
    assert png_files.is_whole(audited.folder / suspects.PICTURE)
    assert len(list((root / "data" / "splits").glob("*-near-duplicates-0.5.csv"))) == 1
    as_json = run_audit(root, "--source", str(small_digits), "--run", "worse", "--json")
    found = json.loads(as_json.stdout)
    assert (found["run"], found["rows"], found["labelled_rows"]) == ("worse-s0", 400, 600)
    assert {one["row"] for one in found["suspicious"]} <= set(range(30))


def test_the_widest_lines_fit_a_terminal_of_80_columns(audited: Run) -> None:
    rows = np.arange(41_600, 42_000)
    table = suspects.rank(rows, LABELS, probabilities(range(90)))
    copies = pd.DataFrame(
        {
            "kind": ["train"] * 12_000 + ["test"] * 12_000,
            "train_row": 41_999,
            "other_row": 41_999,
            "label": 1,
            "other_label": 7,
            "distance": FARTHEST,
        }
    )
    result = AuditResult(audited, 42_000, table, copies, 24_000, [], 1_000)
    lines = result.lines()
    assert len(lines) > 1_400
    assert max(map(len, lines)) <= 80


def test_an_average_is_judged_and_the_report_shows_it_without_cleanlab(
    audited: Run, small_digits: Path, tmp_path: Path
) -> None:
    root = audited.folder.parents[1]
    here = audited.record.model_dump(include={"source", "data_fingerprint", "scores"})
    ScoredRuns(root / "runs")("mean", range(7), parents=["good-s0", "worse-s0"], **here)
    run = RunStore(root / "runs").get("mean")
    run.record.scores = audited.record.scores
    run.save()
    done = run_audit(root, "--run", "mean")
    assert "run mean: 400 of 600 labelled rows judged" in done.stdout
    blocker = "import sys; sys.modules['cleanlab'] = None"
    written = run_pipeline("report", "--root", str(root), python=blocker)
    assert written.returncode == 0, written.stderr
    page = (root / "runs" / "report.html").read_text()
    assert page.count("Labels that look wrong") == 1
    section = page.split("Labels that look wrong")[1].split("<table")[0]
    assert section.startswith('</h4>\n<p class="faint">7 look wrong to cleanlab')
    assert 'alt="row 0: label 0, read as 1"' in section


@pytest.mark.filterwarnings("error")
def test_digits_that_no_row_has_are_no_cause_for_warnings() -> None:
    labels = np.where(LABELS < 5, 3, 8).astype(np.uint8)
    suspects.rank(np.arange(len(labels)), labels, probabilities([])[labels])


def test_what_cannot_be_judged_is_told_in_one_line(audited: Run, small_digits: Path) -> None:
    root, source = audited.folder.parents[1], ["--source", str(small_digits)]
    missing = "import sys; sys.modules['cleanlab'] = None"
    find = "import importlib.util as u; find = u.find_spec; "
    find += "u.find_spec = lambda name: None if name == 'cleanlab' else find(name)"
    for words, python, expected in (
        (source, f"{missing}; {find}", "cleanlab is not installed; make audit installs it"),
        ([*source, "--run", "nope"], "", "RUN is 'nope': no run begins with it"),
        ([*source, "--run", "good worse"], "", "make audit takes one run with scores"),
        (["--source", "practice"], "", "no run on these data (practice) has scores yet"),
        (["--source", "practice"], "", '"members.folds=5" SOURCE=practice'),
        (
            ["--source", "practice", "--practice-seed", "7"],
            "",
            "PRACTICE_SEED is 7, but no run of that draw",
        ),
        (["--source", "practice", "--run", "good"], "", "run good-s0 was trained on other data"),
    ):
        done = run_audit(root, *words, python=python)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert expected in line
    assert not list(root.glob("data/practice-7*")), "its digits would be drawn for nothing"
    stored = audited.load_arrays("validation")
    audited.save_arrays("validation", **{**stored, "rows": stored["rows"] + 300})
    audited.save()
    done = run_audit(root, *source)
    assert "validation.npz has row 699, but the data has 600 rows; make ensemble" in done.stderr
    (audited.folder / "validation.npz").write_bytes(b"no arrays")
    done = run_audit(root, *source)
    assert "validation.npz differs from what run.json records; make ensemble" in done.stderr
    changed = shutil.copytree(small_digits, root / "changed")
    (changed / "train.csv").write_text((changed / "train.csv").read_text()[:-2] + "9\n")
    audited.record.source = str(changed)
    audited.save()
    done = run_audit(root, "--run", "good")
    assert "than SOURCE holds now; give the SOURCE" in done.stderr
    assert not (audited.folder / suspects.FILE).exists()


def test_a_damaged_table_is_named(audited: Run) -> None:
    (audited.folder / suspects.FILE).write_text("row,label\n1,2\n")
    with pytest.raises(PipelineError, match=r"audit\.csv is damaged .*; make audit RUN=good-s0"):
        suspects.read(audited)


def test_a_table_of_earlier_probabilities_is_not_shown(audited: Run) -> None:
    stored = audited.load_arrays("validation")
    suspects.save(audited, suspects.rank(**stored))
    table = suspects.read(audited)
    assert table is not None
    assert len(table) == 400
    audited.save_arrays("validation", **{**stored, "probabilities": np.full((400, 10), 0.1, "f4")})
    assert suspects.read(audited) is None


@pytest.mark.slow
def test_a_trained_run_judges_every_row(small_digits: Path, tmp_path: Path) -> None:
    """A label that is flipped in train.csv is found by networks trained on the others."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "test.csv").write_bytes((small_digits / "test.csv").read_bytes())
    table = pd.read_csv(small_digits / "train.csv")
    flipped = [10, 200, 300, 555]
    table.loc[flipped, "label"] = (table.loc[flipped, "label"] + 5) % 10
    table.to_csv(data / "train.csv", index=False)
    words = ["--source", str(data), "--recipe", "quick", "--set"]
    settings = "training.epochs=8 members.folds=2 augmentation.engine=none"
    with command(tmp_path, "ensemble", *words, settings) as trained:
        trained.finish()
    done = run_audit(tmp_path, "--source", str(data))
    assert "600 of 600 labelled rows judged\n" in done.stdout
    (run,) = RunStore(tmp_path / "runs").all()
    found = suspects.read(run)
    assert found is not None
    assert set(flipped) <= set(found["row"][:30])
