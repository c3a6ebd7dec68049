"""Submitting once, finding the submission in the list, and waiting for its score."""

import resource
from typing import Any

import pytest

from tests.kaggle.bench import Bench
from tests.kaggle_stand_in import TOKEN
from tests.kaggle_state import Faults


def test_submit_waits_for_the_score_and_sends_once(bench: Bench) -> None:
    bench.server.faults.lists_before_shown = 1
    bench.server.faults.lists_before_scored = 2
    entry = bench.submit(settle_limit=20.0)
    assert entry.status == "complete"
    assert entry.public_score == 0.5  # of rows 1 and 5, the first is right
    assert entry.private_score is None
    assert entry.message == "- run é, t-1"
    assert entry.file_name == "run.csv"
    assert entry.submitted_at.endswith("+00:00")
    assert bench.server.uploads == {"0": ("run.csv", bench.csv.read_bytes())}
    assert any("waiting for the score" in line for line in bench.lines)
    for request in bench.server.requests:
        assert (request.authorization == f"Bearer {TOKEN}") == (request.name != "blob")

    assert bench.submit() == entry
    assert bench.server.count("CreateSubmission") == bench.server.count("blob") == 1
    assert any(f"already submitted to Kaggle as {entry.reference}" in x for x in bench.lines)
    bench.assert_no_secret("")


def test_submission_that_ends_in_error(bench: Bench) -> None:
    bench.server.faults.ends_in_error = True
    entry = bench.submit()
    assert (entry.status, entry.public_score) == ("error", None)


def test_score_that_does_not_come_in_time(bench: Bench) -> None:
    bench.server.faults.lists_before_scored = 99
    entry = bench.submit(score_limit=0.0)
    assert (entry.status, entry.public_score) == ("pending", None)
    assert any("no score yet" in line for line in bench.lines)


def test_submission_whose_answer_was_lost_is_found(bench: Bench) -> None:
    bench.server.faults.lose_reply = True
    assert bench.submit().status == "complete"
    assert bench.server.count("CreateSubmission") == len(bench.server.submissions) == 1


def test_submission_that_is_never_listed(bench: Bench) -> None:
    bench.server.faults.lists_before_shown = 99
    assert (
        "whether Kaggle took run.csv is not known (the kaggle command says that it did): its list "
        "does not show it"
    ) in bench.failure(bench.submit)
    text = bench.failure(bench.submit)
    assert "make submit RUN=run FORCE=1 sends it again" in text
    assert bench.server.count("CreateSubmission") == 1
    bench.server.faults.lists_before_shown = 0
    bench.submit(token="t-2")
    assert bench.server.count("CreateSubmission") == 2


def test_what_was_handed_over_is_found_later(bench: Bench) -> None:
    bench.server.faults.lists_before_shown = 2
    bench.failure(bench.submit)
    assert bench.submit(settle_limit=20.0).status == "complete"
    assert "run.csv was handed to Kaggle before: looking for it, not sending it" in bench.lines
    assert bench.server.count("CreateSubmission") == 1


def test_an_upload_is_lost_if_it_went_out_and_is_never_listed(bench: Bench) -> None:
    bench.server.faults.lists_before_shown = 3
    bench.failure(bench.submit)
    assert not bench.competition().is_lost("t-2"), "it never went out"
    assert bench.competition().is_lost("t-1")
    assert not bench.competition(settle_limit=20.0).is_lost("t-1")


def test_a_journal_line_that_was_cut_off_spoils_no_other(bench: Bench) -> None:
    journal = bench.competition().journal
    journal.path.write_bytes(b"t-0\nt-0")
    bench.server.faults.lists_before_shown = 2
    bench.failure(bench.submit)
    assert "t-1" in journal
    assert bench.submit(settle_limit=20.0).status == "complete"
    assert bench.server.count("CreateSubmission") == 1


def test_nothing_is_sent_that_the_journal_does_not_take(bench: Bench) -> None:
    journal = bench.competition().journal.path
    journal.write_bytes(b"." * 100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (103, limits[1]))
    try:
        bench.failure(bench.submit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bench.server.count("CreateSubmission") == 0


def test_list_that_fails_after_the_upload(bench: Bench) -> None:
    def report(line: str) -> None:
        bench.lines.append(line)
        bench.server.faults.status["ListSubmissions"] = 500

    text = bench.failure(lambda: bench.submit(report=report))
    assert "whether Kaggle took run.csv is not known" in text
    assert "500 while listing the submissions" in text


def test_list_that_fails_while_waiting_is_only_reported(bench: Bench) -> None:
    def report(line: str) -> None:
        first = line.startswith("waiting") and not any("waiting" in seen for seen in bench.lines)
        bench.lines.append(line)
        bench.server.faults.status = {"ListSubmissions": 500} if first else {}

    bench.server.faults.lists_before_scored = 1
    assert bench.submit(report=report).status == "complete"
    assert any(
        "could not look for the score: Kaggle's server failed (500" in x for x in bench.lines
    )


def test_storage_that_never_answers_is_stopped(bench: Bench) -> None:
    bench.server.faults.drop_uploads = True
    text = bench.failure(lambda: bench.submit(upload_limit=4.0))
    assert "Kaggle did not finish within 4 s while uploading run.csv" in text
    assert bench.server.count("CreateSubmission") == 0


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"submissions_left": 0}, "daily limit of submissions is reached (0 today, 0 left); wait"),
        ({"status": {"CreateSubmission": 400}}, "refused the submission (400), though 10 more"),
        ({"status": {"blob": 403}}, "storage refused the file while uploading run.csv, so nothing"),
        ({"status": {"CreateSubmission": 429}}, "too many requests (429 while uploading run.csv)"),
        ({"status": {"StartSubmissionUpload": 500}}, "server failed (500 while uploading"),
    ],
)
def test_submit_fails(bench: Bench, faults: dict[str, Any], expected: str) -> None:
    for name, value in faults.items():
        setattr(bench.server.faults, name, value)
    assert expected in bench.failure(bench.submit)
    assert bench.server.submissions == []
    assert bench.server.count("blob") <= 1
    bench.server.faults = Faults()
    assert bench.submit().status == "complete"  # what was refused may be sent again


def test_submit_needs_the_token_in_the_message_and_a_file(bench: Bench) -> None:
    with pytest.raises(ValueError, match="must contain the token 't-2'"):
        bench.competition().submit(bench.csv, "message", "t-2")
    gone = bench.csv.with_name("gone.csv")
    text = bench.failure(lambda: bench.competition().submit(gone, "t-2", "t-2"))
    assert "gone.csv: there is no such file to submit" in text
    assert bench.server.requests == []
