"""Which source and competition a request means."""

from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.practice.source import PracticeSource
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from tests.alone import training_record


@pytest.mark.parametrize(("seed", "key"), [(0, "practice"), (2, "practice-2")])
def test_each_practice_seed_has_a_competition_and_a_folder(
    seed: int, key: str, tmp_path: Path
) -> None:
    lines: list[str] = []
    context = Context(tmp_path, Request(source="practice", practice_seed=seed), lines.append)
    assert isinstance(context.source, PracticeSource)
    assert context.source.seed == seed
    assert context.source.folder == tmp_path / "data" / key
    assert context.competition is not None
    assert context.competition.key == key
    assert lines == [f"source: the practice competition (PRACTICE_SEED={seed})"]


def test_a_named_run_brings_its_own_competition(tmp_path: Path) -> None:
    context = Context(tmp_path, Request(runs=("quick",)), lambda line: None)
    context.store.create(training_record(source="practice", practice_seed=1))
    assert isinstance(context.source, PracticeSource)
    assert context.source.seed == 1
    other = Context(tmp_path, Request(practice_seed=2, runs=("quick",)), lambda line: None)
    with pytest.raises(PipelineError, match=r"is 2, but run \S+ is of practice, seed 1;"):
        _ = other.competition


@pytest.mark.parametrize("source", ["auto", "kaggle", "mnist", "."])
def test_a_practice_seed_without_effect_is_refused(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_" + "x" * 32)
    context = Context(tmp_path, Request(source=source, practice_seed=1), lambda line: None)
    with pytest.raises(PipelineError, match=f"PRACTICE_SEED is 1, but SOURCE={source} is not"):
        _ = context.competition


def test_digits_that_no_row_has_are_named(small_digits: Path, tmp_path: Path) -> None:
    header, *rows = (small_digits / "train.csv").read_text().splitlines(keepends=True)
    (tmp_path / "train.csv").write_text(header + "".join(row for row in rows if row[0] not in "35"))
    (tmp_path / "test.csv").write_bytes((small_digits / "test.csv").read_bytes())
    lines: list[str] = []
    context = Context(tmp_path, Request(source=str(tmp_path)), lines.append)
    assert len(context.splits) == 1
    assert lines[-1].endswith(
        "train.csv: has no row with the digit 3 or 5, so that no network learns it"
    )
