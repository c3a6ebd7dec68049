"""Practice submissions: scored, listed, and the hidden labels seen by the scorer alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.competitions.practice import draw
from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.practice.draw import Hidden
from pipeline.competitions.practice.source import PracticeSource
from tests.commands import REPOSITORY
from tests.practice.hidden import holds_labels

COLUMNS = "ref,fileName,date,description,status,publicScore,privateScore"


def test_a_submission_is_scored_on_public_and_private_rows(
    competition: PracticeCompetition,
    copy: PracticeSource,
    hidden: Hidden,
    tmp_path: Path,
) -> None:
    public, predicted = hidden.public, hidden.labels.copy()
    wrong = np.concatenate([np.flatnonzero(public)[:70], np.flatnonzero(~public)[:84]])
    predicted[wrong] = (predicted[wrong] + 1) % 10
    path = tmp_path / "run.csv"
    submission.write(path, predicted)
    entry = competition.submit(path, "run one [token-1]", "token-1")
    assert (entry.public_score, entry.private_score) == (0.99, None)
    assert (entry.reference, entry.status, entry.file_name) == ("practice-1", "complete", "run.csv")
    score = competition.reveal(path)
    assert score.public == (6_930, 7_000)
    assert score.private == (20_916, 21_000)
    assert score.hidden == (28_000 - 154, 28_000)
    assert [part.share for part in vars(score).values()] == [0.99, 0.996, 0.9945]


def test_a_token_is_submitted_once(
    competition: PracticeCompetition,
    copy: PracticeSource,
    hidden: Hidden,
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.csv"
    submission.write(path, hidden.labels)
    assert competition.submissions() == []
    first = competition.submit(path, 'said "so", [a]', "[a]")
    submission.write(path, (hidden.labels + 1) % 10)
    assert competition.submit(path, "again [a]", "[a]") == first
    second = competition.submit(path, "other [b]", "[b]")
    assert second.public_score == 0.0
    assert competition.submissions() == [second, first]
    text = (copy.folder / "submissions.csv").read_text().splitlines()
    assert text[0] == COLUMNS
    assert text[1].startswith("practice-1,run.csv,2")
    assert text[1].endswith(',"said ""so"", [a]",complete,1.00000,')


def test_scores_have_five_decimals(
    competition: PracticeCompetition,
    copy: PracticeSource,
    hidden: Hidden,
    tmp_path: Path,
) -> None:
    predicted = hidden.labels.copy()
    predicted[:1100] = (predicted[:1100] + 1) % 10
    submission.write(tmp_path / "run.csv", predicted)
    exact = (predicted == hidden.labels)[hidden.public].mean()
    entry = competition.submit(tmp_path / "run.csv", "t", "t")
    assert entry.public_score == round(exact, 5) != exact
    assert competition.submissions() == [entry]


def test_a_malformed_submission_is_listed_as_an_error(
    competition: PracticeCompetition, tmp_path: Path
) -> None:
    path = tmp_path / "run.csv"
    path.write_text("ImageId,Label\n1,7\n")
    entry = competition.submit(path, "short [a]", "[a]")
    assert (entry.status, entry.public_score, entry.private_score) == ("error", None, None)
    assert competition.submissions() == [entry]


def test_impossible_calls_are_refused(competition: PracticeCompetition, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"run.csv: no such file; make the submission first"):
        competition.submit(tmp_path / "run.csv", "message [a]", "[a]")
    with pytest.raises(PipelineError, match=r"'message' lacks the token '\[a\]'; add it"):
        competition.submit(tmp_path / "run.csv", "message", "[a]")
    assert competition.submissions() == []


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        f"{COLUMNS}\n1,f,d,m,lost,,,\n",
        f"{COLUMNS}\n1,f,d,m,complete,high,,\n",
        f"{COLUMNS}\n1,f\n",
    ],
)
def test_a_damaged_list_is_refused(text: str, tmp_path: Path) -> None:
    competition = PracticeCompetition(PracticeSource(tmp_path, tmp_path / "no mnist", 0))
    (tmp_path / "submissions.csv").write_text(text)
    with pytest.raises(PipelineError, match=r"submissions.csv: is not a list of submissions"):
        competition.submissions()


def test_a_list_of_an_earlier_version_is_read_without_its_private_scores(tmp_path: Path) -> None:
    competition = PracticeCompetition(PracticeSource(tmp_path, tmp_path / "no mnist", 0))
    row = "practice-1,run.csv,2026-01-01T00:00:00+00:00,m [a],complete,0.99000,0.98000,0.98250"
    (tmp_path / "submissions.csv").write_text(f"{COLUMNS},hiddenScore\n{row}\n")
    (entry,) = competition.submissions()
    assert (entry.public_score, entry.private_score) == (0.99, None)
    assert "0.98" not in entry.model_dump_json()


def test_labels_that_are_drawn_otherwise_score_nothing(
    competition: PracticeCompetition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission.write(tmp_path / "run.csv", np.zeros(28_000, dtype=np.uint8))

    def draw_otherwise(rows: object, **settings: object) -> object:
        return train_test_split(rows, **{**settings, "random_state": 1})

    monkeypatch.setattr(f"{draw.__name__}.train_test_split", draw_otherwise)
    with pytest.raises(PipelineError, match=r"practice.json: records other hidden rows than are"):
        competition.submit(tmp_path / "run.csv", "message [a]", "[a]")
    assert competition.submissions() == []


FORMS: dict[str, Callable[[Path, NDArray[np.uint8]], object]] = {
    "a.csv": submission.write,
    "a.npy": np.save,
    "a.npz": lambda path, labels: np.savez_compressed(path, rows=labels.astype(np.float32)),
    "a.json": lambda path, labels: path.write_text(json.dumps(labels.tolist())),
    "a.bin": lambda path, labels: path.write_bytes(b"head" + labels.astype("i8").tobytes()),
}


@pytest.mark.parametrize("name", FORMS)
def test_labels_in_a_file_are_noticed(hidden: Hidden, tmp_path: Path, name: str) -> None:
    others = hidden.labels.copy()
    others[-1] = (others[-1] + 1) % 10
    for labels, noticed in ((hidden.labels, True), (others, False)):
        FORMS[name](tmp_path / name, labels)
        assert holds_labels(tmp_path / name, hidden.labels) == noticed


@pytest.mark.parametrize("module", ["draw", "scorer", "builder"])
def test_the_import_of_the_hidden_labels_elsewhere_is_noticed(tmp_path: Path, module: str) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.toml")
    shutil.copytree(REPOSITORY / "pipeline", tmp_path / "pipeline", ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    for code in (0, 1):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stdout
        with (tmp_path / "pipeline" / "stages" / "look.py").open("a") as file:
            file.write(f"\ndef f():\n    from pipeline.competitions.practice import {module}\n")
    assert f"pipeline.stages.look -> pipeline.competitions.practice.{module}" in done.stdout
