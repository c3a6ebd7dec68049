"""`make reveal`: the private score of a practice submission, on request and noted."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.competitions.ledger import Ledger, after_reveal
from pipeline.competitions.practice.source import PracticeSource
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from pipeline.stages.reveal import reveal
from tests.alone import training_record
from tests.practice.hidden import hidden_of

RUN = "quick-s0-12345678"


@pytest.fixture
def root(practice: PracticeSource, tmp_path: Path) -> Path:
    """A folder with the practice data and a run, whose CSV has 119 wrong labels."""
    shutil.copytree(practice.folder, tmp_path / "data" / "practice", copy_function=os.link)
    labels, public = hidden_of(practice.folder)
    wrong = np.concatenate([np.flatnonzero(public)[:35], np.flatnonzero(~public)[:84]])
    predicted = labels.copy()
    predicted[wrong] = (predicted[wrong] + 1) % 10
    context(tmp_path).store.create(training_record(RUN))
    submission.write(csv_of(tmp_path), predicted)
    return tmp_path


def csv_of(root: Path) -> Path:
    return root / "submissions" / f"{RUN}.csv"


def context(root: Path, *runs: str) -> Context:
    return Context(root, Request(runs=runs), lambda line: None)


def submit(root: Path) -> None:
    """Submit the run's CSV as the stage `submit` does."""
    one, path = context(root, RUN), csv_of(root)
    assert one.competition
    upload = one.ledger.begin(RUN, files.sha256(path), one.competition.key, "")
    entry = one.competition.submit(path, upload.message, upload.token)
    one.ledger.update(upload.listed_as(entry))


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "submissions" / "ledger.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_reveal_shows_all_scores_and_its_time_is_kept(
    root: Path, without_tensorflow: str
) -> None:
    submit(root)
    (before,) = rows(root)
    assert (before["public_score"], before["private_score"]) == ("0.99500", "")
    command = [sys.executable, "-m", "pipeline", "reveal", "--run", "quick", "--root", str(root)]
    environment = {**os.environ, "PYTHONPATH": without_tensorflow}
    printed, shown = (
        subprocess.run(
            [*command, *options], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for options in ([], ["--json"])
    )
    (after,) = rows(root)
    assert "public score 0.99500 on 7,000 rows (95 % interval 0.99305 to 0.99640)\n" in printed
    assert "private score 0.99600 on 21,000 rows (95 % interval 0.99505 to 0.99677)\n" in printed
    assert "all hidden rows 0.99575 on 28,000 rows (95 % interval 0.99492 to 0.99645)" in printed
    assert f"first revealed at {after['revealed_at']}, as the ledger notes\n" in printed
    assert "do not choose runs by these scores" in printed
    assert (after["private_score"], after["hidden_score"]) == ("0.99600", "0.99575")
    result = json.loads(shown)
    assert (result["run"], result["revealed_at"]) == (RUN, after["revealed_at"])
    assert (result["private"]["correct"], result["private"]["rows"]) == (20_916, 21_000)


TIME = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "shown",
    [{"revealed_at": TIME}, {"submitted_at": TIME, "hidden_score": 0.99575}],
    ids=["revealed", "submitted with an earlier version"],
)
def test_the_first_of_several_uploads_keeps_its_time(root: Path, shown: dict[str, object]) -> None:
    submit(root)
    submit(root)
    ledger = context(root).ledger
    ledger.update(ledger.uploads()[0].model_copy(update=shown))
    assert reveal(context(root, RUN)).upload.revealed_at == TIME
    assert [row["revealed_at"] for row in rows(root)] == [TIME] * 2
    assert {row["private_score"] for row in rows(root)} == {"0.99600"}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("none", f"{RUN}.csv does not exist; make submit RUN={RUN} submits it to practice"),
        ("not submitted", f"{RUN}.csv is not submitted as it is now; make submit RUN={RUN} "),
        ("changed", f"{RUN}.csv is not submitted as it is now; make submit RUN={RUN} submits it"),
        ("kaggle", f"{RUN}-2, which is of kaggle: .* only after a competition has ended"),
        ("two", "RUN is 'a b'; make reveal takes one submitted run: give its id"),
    ],
)
def test_what_cannot_be_revealed_is_told_in_one_line(root: Path, state: str, message: str) -> None:
    names = {"two": ("a", "b"), "kaggle": (f"{RUN}-2",)}.get(state, (RUN,))
    if state == "changed":
        submit(root)
        submission.write(csv_of(root), np.zeros(28_000, dtype=np.uint8))
    elif state == "none":
        csv_of(root).unlink()
    context(root).store.create(training_record(RUN, source="kaggle"))
    with pytest.raises(PipelineError, match=message):
        reveal(context(root, *names))
    assert not any(row["revealed_at"] for row in (rows(root) if state == "changed" else []))


def test_what_is_submitted_after_a_reveal_is_marked(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.csv")
    columns = "run,sha256,competition,token,message,submitted_at,hidden_score,revealed_at"
    table = [
        "a,1,practice,a:,a:,2026-01-01T00:00:00+00:00,0.99000,2026-01-03T00:00:00+00:00",
        "b,2,practice,b:,b:,2026-01-02T00:00:00+00:00,,",
        "c,3,practice,c:,c:,2026-01-04T00:00:00+00:00,,",
        "d,4,practice-1,d:,d:,2026-01-04T00:00:00+00:00,,",
        # An earlier version showed the score at once.
        "e,5,practice-2,e:,e:,2026-01-04T00:00:00+00:00,0.99000,",
        "f,6,practice-2,f:,f:,2026-01-05T00:00:00+00:00,,",
    ]
    ledger.path.write_text("\n".join([columns, *table]) + "\n")
    uploads = ledger.uploads()
    assert [one.run for one in uploads if after_reveal(one, uploads)] == ["c", "f"]
