"""What the kaggle command prints: understood, or one line without secrets in it."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

from hypothesis import strategies as st

from pipeline.competitions.kaggle.calls import classify, failure
from pipeline.competitions.kaggle.command import CommandResult
from pipeline.competitions.kaggle.upload import parse_entries
from tests.kaggle_state import KEY, TOKEN, UPLOAD_SESSION
from tests.torture.edits import EDITS, ODD_TEXTS, Edit, edited
from tests.torture.verdict import LostError, Verdict, check_line, examine, result

HEADER = ["ref", "fileName", "date", "description", "status", "publicScore", "privateScore"]
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20)
DATES = ["2026-01-02 03:04:05.678000", "2026-01-02 03:04:05", "soon", ""]
SCORES = ["", "None", "0.5", "1.0", "0.99250", "nan", "1e999", "95.5", "-0.1", "high"]
GOOD_SCORES = SCORES[:5]
STATUSES = ["SubmissionStatus.COMPLETE", "SubmissionStatus.PENDING", "SubmissionStatus.ERROR", "x"]
ROWS = st.tuples(
    st.integers(1, 10**9).map(str) | ODD_TEXTS,
    st.just("run.csv") | ODD_TEXTS,
    st.sampled_from(DATES) | ODD_TEXTS,
    PLAIN | ODD_TEXTS,
    st.sampled_from(STATUSES) | ODD_TEXTS,
    st.sampled_from(SCORES),
    st.sampled_from(SCORES),
)


@dataclass(frozen=True)
class Listing:
    """A list of submissions, with lines before it and changes of its bytes."""

    before: str
    rows: list[tuple[str, ...]]
    edits: Sequence[Edit]

    def printed(self) -> str:
        """Return what the command prints."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([HEADER, *self.rows])
        content = (self.before + text.getvalue()).encode("utf-8", "replace")
        return edited(content, self.edits).decode("utf-8", "replace")


LISTINGS = st.builds(
    Listing,
    before=st.sampled_from(["", "Warning: something\n", "No submissions found\n"]),
    rows=st.lists(ROWS, max_size=3),
    edits=st.just([]) | EDITS,
)

REASONS = [
    "400 Client Error",
    "401 Client Error",
    "403 Client Error",
    "404 Client Error",
    "429 Client",
]
REASONS += [
    "400 Client Error: for CreateSubmission",
    "503 Server Error",
    "SSLError(",
    "ReadTimeout",
]
REASONS += [
    "No space left on device",
    "os.makedirs(config_dir)",
    "Traceback (most recent call last)",
]
REASONS += [
    "Could not submit to competition",
    "[{}]",
    '{"numAllowedNow": "x"}',
    '[{"ref": 1}]',
    "{",
    "[",
]
PLANTED = [
    f"Max retries exceeded with url: /blob/0?session={UPLOAD_SESSION} (Caused by ",
    f"HTTPError for url: https://storage.invalid/blob/0?session={UPLOAD_SESSION}",
    f"b'Bearer {TOKEN}\\r'",
    f"Authorization: Bearer {TOKEN}",
    f"{{'Authorization': 'Basic {KEY}'}}",
    f"PUT https://user:{KEY}@storage.invalid/{UPLOAD_SESSION}",
]
PIECES = st.lists(st.sampled_from(REASONS) | st.sampled_from(PLANTED) | ODD_TEXTS, max_size=4)
PRINTED = st.tuples(PIECES, st.sampled_from([" ", "\n", "\t", "\r\n"])).map(
    lambda both: both[1].join(both[0])
)
RESULTS = st.builds(
    CommandResult,
    code=st.sampled_from([0, 1, 1, 1, 2, 137, -9, None]),
    stdout=PRINTED,
    stderr=PRINTED,
    time_limit=st.just(60.0),
)


def check_listing(listing: Listing) -> None:
    """Raise if a list is misunderstood."""
    entries = result(lambda: parse_entries(listing.printed()))
    for entry in entries or []:
        if entry.public_score is not None and not 0 <= entry.public_score <= 1:
            raise LostError(f"a public score of {entry.public_score} was accepted")
    if listing.edits or not all(_is_plain(row) for row in listing.rows):
        return
    if entries is None:
        raise LostError("a good list was refused")
    found = [(entry.reference, entry.message) for entry in entries]
    if found != [(row[0], row[3]) for row in listing.rows]:
        raise LostError(f"a good list was read as {found}")


def _is_plain(row: tuple[str, ...]) -> bool:
    """Return whether Kaggle may list a submission like this."""
    return (
        row[0].isdecimal()
        and row[0].isascii()
        and all(text.isprintable() and len(text) < 100 for text in row)
        and row[2] in DATES[:2]
        and row[4] in STATUSES
        and {row[5], row[6]} <= set(GOOD_SCORES)
    )


def check_failure(answers: tuple[CommandResult, CommandResult]) -> None:
    """Raise if the error of a failed call is no harmless line. The second answers a question."""
    answer, further = answers
    with patch("pipeline.competitions.kaggle.calls.run_kaggle", lambda *_, **__: further):
        kind = classify(answer)
        if kind is not None:
            check_line(str(failure(answer, kind, "uploading run.csv")))


def torture(count: int, number: int) -> Verdict:
    """Try `count` answers, half of them lists, drawn with the seed `number`."""
    environment = {"KAGGLE_API_TOKEN": TOKEN, "KAGGLE_KEY": KEY, "KAGGLE_USERNAME": "tester"}
    verdict = Verdict()
    with patch.dict(os.environ, environment):
        verdict.add(examine(LISTINGS, check_listing, count - count // 2, number))
        verdict.add(examine(st.tuples(RESULTS, RESULTS), check_failure, count // 2, number))
    return verdict
