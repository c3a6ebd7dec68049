"""The ledger: one row per attempt, written before anything is sent."""

import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.ledger import Ledger
from pipeline.competitions.protocol import Entry


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "submissions" / "ledger.csv")


def entry(status: str = "complete", score: float | None = 0.99) -> Entry:
    row = {"ref": "7", "fileName": "a.csv", "date": "2026-01-01T00:00:00", "description": "m"}
    return Entry.model_validate({**row, "status": status, "publicScore": score})


def test_an_attempt_is_found_again_by_its_csv(ledger: Ledger) -> None:
    begun = ledger.begin("run-1", "ab" * 32, "kaggle", 'with, comma and "quotes"')
    assert begun.message == 'run-1.abababab.1: with, comma and "quotes"'
    assert ledger.of_csv("kaggle", "ab" * 32) == begun
    assert ledger.of_csv("practice", "ab" * 32) is None
    ledger.update(begun.listed_as(entry()))
    found = ledger.of_csv("kaggle", "ab" * 32)
    assert found is not None
    assert (found.status, found.reference, found.public_score) == ("complete", "7", 0.99)
    assert found.private_score is None


def test_every_attempt_has_its_own_token(ledger: Ledger) -> None:
    uploads = [ledger.begin("run-1", "ab" * 32, "kaggle", "") for _ in range(12)]
    for upload in uploads:
        assert [upload.token in other.message for other in uploads].count(True) == 1


def test_an_upload_that_ended_in_an_error_is_found(ledger: Ledger) -> None:
    begun = ledger.begin("run-1", "ab" * 32, "kaggle", "")
    ledger.update(begun.listed_as(entry("error", None)))
    found = ledger.of_csv("kaggle", "ab" * 32)
    assert found is not None
    assert found.status == "error"


def test_an_error_does_not_hide_an_earlier_success(ledger: Ledger) -> None:
    for status in ("complete", "error"):
        begun = ledger.begin("run-1", "ab" * 32, "kaggle", "")
        ledger.update(begun.listed_as(entry(status)))
    found = ledger.of_csv("kaggle", "ab" * 32)
    assert found is not None
    assert found.status == "complete"


def test_a_forced_attempt_that_was_refused_does_not_hide_an_earlier_success(ledger: Ledger) -> None:
    complete = ledger.begin("run-1", "ab" * 32, "kaggle", "").listed_as(entry())
    ledger.update(complete)
    refused = ledger.begin("run-1", "ab" * 32, "kaggle", "")
    assert ledger.of_csv("kaggle", "ab" * 32) == complete
    assert ledger.of_csv("kaggle", "ab" * 32, force=True) == refused


def test_only_one_process_submits_at_a_time(ledger: Ledger, tmp_path: Path) -> None:
    code = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from pipeline.competitions.ledger import Ledger\n"
        "report = partial(print, flush=True)\n"
        "with Ledger(Path(sys.argv[1])).submitting(report): report('in')"
    )
    path = tmp_path / "submissions" / "ledger.csv"
    command = [sys.executable, "-c", code, str(path)]
    with ledger.submitting(print):
        other = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
        )
        assert other.stdout
        assert other.stdout.readline() == "waiting for another submission to end\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.5)
    assert other.communicate(timeout=10)[0] == "in\n"


def test_attempts_that_begin_at_once_have_a_row_each(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        begun = pool.map(lambda _: ledger.begin("run-1", "ab" * 32, "kaggle", ""), range(20))
    assert len({upload.token for upload in begun}) == len(ledger.uploads()) == 20


ROW = "run-1,aa,kaggle,t-1:,t-1: m,2026-01-01"
COLUMNS = "run,sha256,competition,token,message,submitted_at"


def test_a_persons_own_columns_are_kept(ledger: Ledger) -> None:
    ledger.path.parent.mkdir()
    ledger.path.write_text(f"\ufeff{COLUMNS},note\n{ROW},mine\n")
    ledger.begin("run-2", "ab" * 32, "kaggle", "")
    with ledger.path.open() as file:
        assert [row["note"] for row in csv.DictReader(file)] == ["mine", ""]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage\n",
        f"{COLUMNS}\n{ROW}\n".replace(",", ";"),
        f"{COLUMNS}\n{ROW[:20]}",
        "run,public_score\nrun-1,high\n",
        f"{COLUMNS},public_score\n{ROW},nan\n",
        f"{COLUMNS},public_score\n{ROW},95.5\n",
        f"{COLUMNS},reference\n{ROW},=cmd()\n",
        f"{COLUMNS},status\n{ROW},\x1b[2J\n",
        f"{COLUMNS},note\n{ROW},{'x' * 140_000}\n",
        f"{COLUMNS},note,note\n{ROW},a,b\n",
        f"{COLUMNS}\n{ROW},one cell too many\n",
    ],
)
def test_a_damaged_ledger_is_named(ledger: Ledger, text: str) -> None:
    ledger.path.parent.mkdir()
    ledger.path.write_text(text)
    with pytest.raises(PipelineError, match=r"ledger\.csv: is not a ledger of uploads") as caught:
        ledger.uploads()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert ledger.path.read_text() == text


def test_what_a_reveal_noted_outlives_an_upload_that_ends_later(ledger: Ledger) -> None:
    first = ledger.begin("run-1", "ab" * 32, "practice", "").listed_as(entry())
    ledger.update(first)
    forced = ledger.begin("run-1", "ab" * 32, "practice", "")
    ledger.reveal(first, 0.99, 0.98)
    ledger.update(forced.listed_as(entry()))
    for row in ledger.uploads():
        assert (row.private_score, row.hidden_score) == (0.99, 0.98)
        assert row.revealed_at
    (_, again) = ledger.uploads()
    ledger.update(again.listed_as(entry()))
    assert ledger.uploads()[1].private_score == 0.99
