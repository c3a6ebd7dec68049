"""Which competition a request is about."""

from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from tests.alone import training_record


@pytest.mark.parametrize(("seed", "folder"), [(0, "practice"), (2, "practice-2")])
def test_each_permutation_is_a_competition_with_a_folder(
    seed: int, folder: str, tmp_path: Path
) -> None:
    lines: list[str] = []
    asked = Context(tmp_path, Request(source="practice", practice_seed=seed), lines.append)
    assert isinstance(asked.competition, PracticeCompetition)
    assert asked.competition.seed == seed
    assert asked.competition.folder == tmp_path / "data" / folder
    assert lines == [f"source: the practice competition (PRACTICE_SEED={seed})"]


def test_a_run_is_asked_of_the_competition_that_it_was_trained_for(tmp_path: Path) -> None:
    asked = Context(tmp_path, Request(runs=("quick",)), lambda line: None)
    asked.store.create(training_record(source="practice", practice_seed=1))
    assert isinstance(asked.competition, PracticeCompetition)
    assert asked.competition.seed == 1
    other = Context(tmp_path, Request(practice_seed=2, runs=("quick",)), lambda line: None)
    with pytest.raises(PipelineError, match=r"is 2, but run \S+ is of practice, seed 1;"):
        _ = other.competition


@pytest.mark.parametrize("source", ["auto", "kaggle", "mnist", "."])
def test_a_permutation_that_would_count_for_nothing_is_refused(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_" + "x" * 32)
    asked = Context(tmp_path, Request(source=source, practice_seed=1), lambda line: None)
    with pytest.raises(PipelineError, match=f"PRACTICE_SEED is 1, but SOURCE={source} is not"):
        _ = asked.competition
