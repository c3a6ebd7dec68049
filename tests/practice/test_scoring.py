"""Practice submissions: scored, listed, and the hidden labels seen by the scorer alone."""

import ast
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.competitions.practice import builder, scorer
from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.practice.source import PracticeSource
from tests.practice.hidden import hidden_rows

COLUMNS = "ref,fileName,date,description,status,publicScore,privateScore,hiddenScore"


def test_a_submission_is_scored_on_public_and_private_rows(
    competition: PracticeCompetition,
    copy: PracticeSource,
    hidden: NDArray[np.int64],
    tmp_path: Path,
) -> None:
    public = np.array([row["Usage"] == "Public" for row in hidden_rows(copy.folder)])
    predicted = hidden.copy()
    wrong = np.concatenate([np.flatnonzero(public)[:70], np.flatnonzero(~public)[:84]])
    predicted[wrong] = (predicted[wrong] + 1) % 10
    path = tmp_path / "run.csv"
    submission.write(path, predicted)
    entry = competition.submit(path, "run one [token-1]", "token-1")
    assert (entry.public_score, entry.private_score) == (0.99, 0.996)
    assert (entry.reference, entry.status, entry.file_name) == ("practice-1", "complete", "run.csv")
    score = scorer.score(copy.folder, submission.check(path))
    assert (score.public, score.private) == (0.99, 0.996)
    assert score.hidden == 1 - 154 / 28_000


def test_a_token_is_submitted_once(
    competition: PracticeCompetition,
    copy: PracticeSource,
    hidden: NDArray[np.int64],
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.csv"
    submission.write(path, hidden)
    assert competition.submissions() == []
    first = competition.submit(path, 'said "so", [a]', "[a]")
    submission.write(path, (hidden + 1) % 10)
    assert competition.submit(path, "again [a]", "[a]") == first
    second = competition.submit(path, "other [b]", "[b]")
    assert (second.public_score, second.private_score) == (0.0, 0.0)
    assert competition.submissions() == [second, first]
    text = (copy.folder / "submissions.csv").read_text().splitlines()
    assert text[0] == COLUMNS
    assert text[1].startswith("practice-1,run.csv,2")
    assert text[1].endswith(',"said ""so"", [a]",complete,1.00000,1.00000,1.00000')


def test_scores_have_five_decimals(
    competition: PracticeCompetition,
    copy: PracticeSource,
    hidden: NDArray[np.int64],
    tmp_path: Path,
) -> None:
    predicted = hidden.copy()
    predicted[:1000] = (predicted[:1000] + 1) % 10
    submission.write(tmp_path / "run.csv", predicted)
    exact = scorer.score(copy.folder, submission.check(tmp_path / "run.csv"))
    entry = competition.submit(tmp_path / "run.csv", "t", "t")
    assert entry.private_score == round(exact.private, 5) != exact.private
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


def test_only_the_scorer_knows_the_path_of_the_hidden_labels() -> None:
    package = Path(builder.__file__).parents[2]
    knowing, importing = set(), set()
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in docstrings:
                text = str(node.value)
                if text == "hidden" or "hidden/" in text:
                    knowing.add(name)
            if "HIDDEN_FILE" in (getattr(node, "id", ""), getattr(node, "attr", "")):
                knowing.add(name)
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names]
                if any(module.split(".")[-1] == "scorer" for module in names):
                    importing.add(name)
    assert knowing == {"competitions/practice/scorer.py"}
    assert importing == {
        "competitions/practice/competition.py",
        "competitions/practice/builder.py",
    }
