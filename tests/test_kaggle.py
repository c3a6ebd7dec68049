"""The real kaggle command, as a process of its own, with a stand-in for Kaggle on this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle.archive import BrokenArchiveError, unpack
from pipeline.competitions.kaggle.call_failures import FailureKind, classify, explain
from pipeline.competitions.kaggle.command import CommandResult, run_kaggle
from pipeline.competitions.kaggle.download import KaggleSource
from pipeline.competitions.kaggle.entries import parse_entries
from pipeline.competitions.kaggle.upload import KaggleCompetition
from pipeline.competitions.protocol import Competition, Entry, Source
from tests.kaggle_stand_in import KEY, TOKEN, UPLOAD_SESSION, USERNAME, StandIn, archive

PIXELS = ",".join(f"pixel{number}" for number in range(784))
BLANK = ",".join(["0"] * 784)
TRAIN = f"label,{PIXELS}\n".encode() + b"".join(f"{d},{BLANK}\n".encode() * 4200 for d in range(10))
TEST = f"{PIXELS}\n".encode() + f"{BLANK}\n".encode() * 28_000
GOOD = {"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": b"ImageId,Label\n1,0\n"}
GOOD_ZIP = archive(GOOD)
SETTINGS = "https://www.kaggle.com/settings"
RULES = "https://www.kaggle.com/competitions/digit-recognizer/rules"


@dataclass
class Bench:
    """The source and the competition with short times, the stand-in, and the reported lines."""

    server: StandIn
    home: Path
    folder: Path
    csv: Path
    lines: list[str] = field(default_factory=list)

    def source(self, **settings: Any) -> KaggleSource:
        """Return the source with the given settings."""
        return KaggleSource(self.folder, **({"report": self.lines.append} | settings))

    def competition(self, **settings: Any) -> KaggleCompetition:
        """Return a competition whose pauses are short; `settings` override them."""
        short: dict[str, Any] = {"poll": 0.1, "settle_limit": 0.0, "score_limit": 20.0}
        short["report"] = self.lines.append
        return KaggleCompetition(**(short | settings))

    def submit(self, **settings: Any) -> Entry:
        """Submit the bench's CSV with the token t-1."""
        return self.competition(**settings).submit(self.csv, "- run é, t-1", "t-1")

    def failure(self, action: Callable[[], object]) -> str:
        """Return the one line that `action` fails with, which must contain no secret."""
        with pytest.raises(PipelineError) as caught:
            action()
        text = str(caught.value)
        assert "\n" not in text
        self.assert_no_secret(text)
        return text

    def assert_no_secret(self, text: str) -> None:
        """Check `text` and every progress line for the stand-in's secrets."""
        for secret in (TOKEN, KEY, UPLOAD_SESSION):
            assert secret not in "\n".join([text, *self.lines])


def enter(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Make `environment` the whole environment of this process."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A running stand-in that this process sees as Kaggle, signed in with a token."""
    home = tmp_path / "home"
    home.mkdir()
    csv = tmp_path / "run.csv"
    csv.write_text("ImageId,Label\n1,0\n2,1\n3,2\n4,3\n5,4\n")
    hidden = tmp_path / "hidden.csv"
    hidden.write_text("ImageId,Label\n1,0\n2,9\n3,9\n4,9\n5,5\n")
    with StandIn(zip_bytes=GOOD_ZIP, hidden_labels=hidden) as server:
        enter(monkeypatch, server.environment(home))
        yield Bench(server, home, tmp_path / "kaggle", csv)
        # Nothing tried to reach the real service past the stand-in.
        assert server.count("CONNECT") == 0


def test_is_a_source_and_a_competition(bench: Bench) -> None:
    source: Source = bench.source()
    competition: Competition = bench.competition()
    assert (source.location, competition.key) == ("kaggle", "kaggle")


def test_fetch_downloads_once(bench: Bench) -> None:
    files = bench.source().fetch()
    assert files.train.read_bytes() == TRAIN
    assert files.test.read_bytes() == TEST
    assert files.full_size
    assert not (bench.folder / ".download").exists()
    for request in bench.server.requests:
        carries = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        assert carries == (request.name != "archive")
    seen = len(bench.server.requests)

    assert bench.source().fetch() == files
    os.utime(files.train, (1, 1))  # not the stamped file any more, but a good one: only checked
    assert bench.source().fetch() == files
    assert len(bench.server.requests) == seen


def test_fetch_of_checked_files_starts_no_command(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.folder.mkdir()
    unpack_bytes(GOOD_ZIP, bench.folder)
    bench.source().fetch()
    for module in ("calls", "upload"):
        monkeypatch.setattr(f"pipeline.competitions.kaggle.{module}.run_kaggle", None)
    monkeypatch.setattr("pipeline.competitions.kaggle.download.check_csv", None)
    assert bench.source().fetch().train == bench.folder / "train.csv"


def test_leftover_of_a_cut_download_is_not_trusted(bench: Bench) -> None:
    leftover = bench.folder / ".download"
    leftover.mkdir(parents=True)
    (leftover / "digit-recognizer.zip").write_bytes(b"x" * len(GOOD_ZIP))
    bench.source().fetch()
    assert (bench.folder / "train.csv").read_bytes() == TRAIN
    assert not leftover.exists()


def test_cut_download_is_resumed(bench: Bench) -> None:
    # The command writes by the MiB, so a resumable cut needs more than the blank digits.
    bench.server.zip_bytes = archive({"filler.bin": os.urandom(3 << 20), **GOOD})
    bench.server.faults.cut_downloads = 1
    bench.source().fetch()
    assert (bench.folder / "train.csv").read_bytes() == TRAIN
    ranges = [
        request.headers.get("Range")
        for request in bench.server.requests
        if request.name == "archive"
    ]
    assert ranges == [None, f"bytes={1 << 20}-"]


def test_truncated_archive_is_downloaded_once_more(bench: Bench) -> None:
    bench.server.faults.truncated_downloads = 1
    bench.source().fetch()
    assert (bench.folder / "test.csv").read_bytes() == TEST
    assert any("downloading it once more" in line for line in bench.lines)


def test_archive_that_stays_truncated_changes_nothing(bench: Bench) -> None:
    bench.server.faults.truncated_downloads = 99
    bench.folder.mkdir()
    (bench.folder / "train.csv").write_text("label\n7\n")
    (bench.folder / "test.csv").write_text("mine")
    text = bench.failure(bench.source().fetch)
    assert "digit-recognizer.zip: the downloaded file is not a whole zip archive" in text
    assert bench.server.count("archive") == 2
    assert any("train.csv: the first line is not the competition's" in x for x in bench.lines)
    assert (bench.folder / "train.csv").read_text() == "label\n7\n"
    assert sorted(path.name for path in bench.folder.iterdir()) == ["test.csv", "train.csv"]


def test_archive_that_points_outside_the_folder_is_refused(bench: Bench) -> None:
    bench.server.zip_bytes = archive({**GOOD, "../evil.csv": b"evil"})
    text = bench.failure(bench.source().fetch)
    assert "member '../evil.csv' points outside the folder" in text
    assert list(bench.folder.iterdir()) == []
    assert bench.server.count("archive") == 1


def unpack_bytes(content: bytes, folder: Path) -> None:
    """Unpack an archive given as bytes into `folder`."""
    path = folder.parent / "digit-recognizer.zip"
    path.write_bytes(content)
    unpack(path, folder)


def test_unpack_reads_members_zipped_once_more(tmp_path: Path) -> None:
    nested = {f"{name}.zip": archive({name: content}) for name, content in GOOD.items()}
    folder = tmp_path / "data"
    unpack_bytes(archive(nested), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == GOOD


def flipped(content: bytes) -> bytes:
    """Return an archive with one damaged byte in its first member."""
    return content[:200] + bytes([content[200] ^ 0xFF]) + content[201:]


@pytest.mark.parametrize(
    ("content", "expected", "broken"),
    [
        (b"<html>sign in</html>", "not a whole zip archive", True),
        (flipped(GOOD_ZIP), "not a whole zip archive", True),
        (archive({"train.csv.zip": archive({"a": b""}), "test.csv": b""}), "not a whole zip", True),
        (archive({"train.csv": TRAIN}), "no test.csv in it (found: train.csv)", False),
        (archive({**GOOD, "/etc/x": b""}), "'/etc/x' points outside the folder", False),
        (archive({**GOOD, "a\\..\\..\\x": b""}), "points outside the folder", False),
        (archive({**GOOD, "C:/x": b""}), "'C:/x' points outside the folder", False),
        (
            archive({**GOOD, "train.csv": TRAIN.partition(b"\n9,")[0]}),
            "train.csv: 37800 rows found, 42000 needed",
            False,
        ),
        (
            archive({**GOOD, "test.csv": TEST.replace(b"pixel783", b"pixel784", 1)}),
            "test.csv: the first line is not the competition's header (784 columns found, 784",
            False,
        ),
        (
            archive({**GOOD, "test.csv": TEST[:-3] + b"\n"}),
            "test.csv: not every row has 784 columns",
            False,
        ),
    ],
)
def test_unpack_refuses(tmp_path: Path, content: bytes, expected: str, broken: bool) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with pytest.raises(PipelineError) as caught:
        unpack_bytes(content, folder)
    assert expected in str(caught.value)
    assert isinstance(caught.value, BrokenArchiveError) == broken
    assert list(folder.iterdir()) == []


def test_cancelled_download_is_an_interruption(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command itself reports Ctrl-C with exit code 0."""
    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def start(*arguments: Any, **settings: Any) -> Any:
        started.append(real(*arguments, **settings))
        return started[-1]

    def cancel() -> None:
        while not list(bench.folder.glob(".download/*.zip")):
            bench.server.stopping.wait(0.05)
        started[0].send_signal(signal.SIGINT)

    monkeypatch.setattr("pipeline.competitions.kaggle.command.subprocess.Popen", start)
    bench.server.faults.hold_downloads = True
    thread = threading.Thread(target=cancel, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        bench.source(download_limit=20.0).fetch()
    assert started[0].returncode == 0
    assert list(bench.folder.iterdir()) == []


def test_silent_download_is_stopped(bench: Bench) -> None:
    bench.server.faults.hold_downloads = True
    text = bench.failure(bench.source(download_limit=2.5).fetch)
    assert "Kaggle did not finish within 2.5 s while downloading the data" in text
    assert list(bench.folder.iterdir()) == []


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
    text = bench.failure(bench.submit)
    assert "reported run.csv as submitted, but the list does not show it" in text
    assert bench.server.count("CreateSubmission") == 1


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


def test_submit_needs_the_token_in_the_message_and_a_file(bench: Bench) -> None:
    with pytest.raises(ValueError, match="must contain the token 't-2'"):
        bench.competition().submit(bench.csv, "message", "t-2")
    gone = bench.csv.with_name("gone.csv")
    text = bench.failure(lambda: bench.competition().submit(gone, "t-2", "t-2"))
    assert "gone.csv: there is no such file to submit" in text
    assert bench.server.requests == []


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"status": {"DownloadDataFiles": 404}}, ["404 while downloading the data", "make setup"]),
        ({"status": {"DownloadDataFiles": 429}}, ["429 while downloading the data", "wait some"]),
        ({"status": {"DownloadDataFiles": 503}}, ["503 while downloading the data", "wait some"]),
        ({"status": {"DownloadDataFiles": 418}}, ["command failed while", "<address>"]),
        ({"rules_accepted": False}, ["rules of digit-recognizer are not accepted yet", RULES]),
        ({"status": {"DownloadDataFiles": 403}}, ["403", "though you have joined", SETTINGS]),
        (
            {"status": {"DownloadDataFiles": 403, "ListCompetitions": 500}},
            ["403 while downloading the data", RULES, "if you have, check at", SETTINGS],
        ),
    ],
)
def test_fetch_fails(bench: Bench, faults: dict[str, Any], expected: list[str]) -> None:
    for name, value in faults.items():
        setattr(bench.server.faults, name, value)
    text = bench.failure(bench.source().fetch)
    for words in expected:
        assert words in text
    assert list(bench.folder.iterdir()) == []


def test_folder_that_cannot_be_made(bench: Bench) -> None:
    bench.folder.write_text("a file in the way")
    assert "cannot make this folder" in bench.failure(bench.source().fetch)


def test_server_down(bench: Bench) -> None:
    bench.server.stop()
    text = bench.failure(bench.competition().submissions)
    assert "cannot be reached while listing the submissions: the connection was refused" in text


def test_no_credentials(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, bench.server.environment(bench.home, token=None))
    text = bench.failure(bench.competition().submissions)
    assert "no Kaggle credentials found" in text
    assert SETTINGS in text
    assert "SOURCE=practice" in text


def write_key(bench: Bench, key: str) -> Path:
    """Write a kaggle.json that others may read, about which the command warns on stdout."""
    path = bench.home / ".kaggle" / "kaggle.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"username": USERNAME, "key": key}))
    path.chmod(0o644)
    return path


def test_bad_token_beats_a_good_key(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write_key(bench, KEY)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "a-bad-token")
    text = bench.failure(bench.competition().submissions)
    assert "refused the access token in the environment variable KAGGLE_API_TOKEN" in text
    assert "a bad token must be replaced or removed even if the key is good" in text
    assert "a-bad-token" not in text


def test_bad_key(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, bench.server.environment(bench.home, token=None))
    write_key(bench, "a-bad-key")
    text = bench.failure(bench.competition().submissions)
    assert "Kaggle refused the username and key in ~/.kaggle/kaggle.json" in text


def test_broken_key_file_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, bench.server.environment(bench.home, token=None))
    write_key(bench, KEY).write_text("{")
    assert "~/.kaggle/kaggle.json: not JSON" in bench.failure(bench.competition().submissions)


def test_warnings_before_the_list_are_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, bench.server.environment(bench.home, token=None))
    write_key(bench, KEY)
    result = run_kaggle(["competitions", "submissions", "digit-recognizer"], time_limit=20.0)
    assert result.stdout.startswith("Warning: Your Kaggle API key is readable")
    assert bench.competition().submissions() == []
    bench.server.uploads["0"] = ("run.csv", bench.csv.read_bytes())
    bench.server.record("0", 'two\nlines, "quoted"')
    assert [entry.message for entry in bench.competition().submissions()] == [
        'two\nlines, "quoted"'
    ]


def test_home_that_cannot_be_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(bench.csv))
    monkeypatch.delenv("KAGGLE_CONFIG_DIR")
    text = bench.failure(bench.competition().submissions)
    assert "cannot make its settings folder there; set KAGGLE_CONFIG_DIR" in text


def test_verbose_environment_prints_no_headers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERBOSE", "1")
    arguments = ["competitions", "submissions", "digit-recognizer", "-v"]
    result = run_kaggle(arguments, time_limit=20.0)
    assert "No submissions found" in result.stdout
    assert TOKEN not in result.text


def test_missing_package(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = (sys.executable, "-S", "-P", "-m", "kaggle")
    monkeypatch.setattr("pipeline.competitions.kaggle.command._COMMAND", nothing)
    monkeypatch.setenv("PYTHONPATH", "")
    assert "kaggle package is not installed" in bench.failure(bench.competition().submissions)


BROKEN_OFF = f"Max retries exceeded with url: /blob/0?session={UPLOAD_SESSION} (Caused by "


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "kind", "expected"),
    [
        (
            1,
            "",
            f"{BROKEN_OFF}NameResolutionError(",
            FailureKind.NETWORK,
            "a host name was not found",
        ),
        (1, "", f"{BROKEN_OFF}SSLError(", FailureKind.NETWORK, "the certificate check failed"),
        (
            1,
            "",
            f"{BROKEN_OFF}ProxyError(",
            FailureKind.NETWORK,
            "the proxy did not let it through",
        ),
        (
            1,
            "",
            f"{BROKEN_OFF}OSError(101, 'Network is unreachable",
            FailureKind.NETWORK,
            "network is unreachable",
        ),
        (1, "", f"{BROKEN_OFF}ReadTimeout(", FailureKind.NETWORK, "no answer in time"),
        (1, "Download failed after 5 retries.", "", FailureKind.NETWORK, "the connection broke;"),
        (
            1,
            "Error: [Errno 28] No space left on device",
            "",
            FailureKind.DISK,
            "the disk is full while",
        ),
        (
            1,
            "400 Client Error",
            "",
            FailureKind.BAD_REQUEST,
            "refused the request (400 while testing)",
        ),
        (
            0,
            f"{BROKEN_OFF}x)\nCould not submit to competition",
            "",
            FailureKind.REFUSED_UPLOAD,
            "nothing was submitted",
        ),
        (
            1,
            "",
            f"odd at url: /blob?{UPLOAD_SESSION}",
            FailureKind.OTHER,
            "testing: odd at <address>;",
        ),
        (
            1,
            "",
            f"odd https://x.invalid/{UPLOAD_SESSION}",
            FailureKind.OTHER,
            "testing: odd <address>;",
        ),
        (
            1,
            "",
            f"odd header b'Bearer {UPLOAD_SESSION}\\r'",
            FailureKind.OTHER,
            "b'Bearer <token>;",
        ),
        (
            1,
            "",
            "",
            FailureKind.OTHER,
            "while testing: it printed nothing; run the same command again",
        ),
    ],
)
def test_reasons_without_secrets(
    code: int, stdout: str, stderr: str, kind: FailureKind, expected: str
) -> None:
    result = CommandResult(code, stdout, stderr, time_limit=1.0)
    assert classify(result) is kind
    text = str(explain(result, kind, "testing"))
    assert expected in text
    assert UPLOAD_SESSION not in text


def test_parse_entries_reads_each_column() -> None:
    text = (
        "Warning: something\n"
        "ref,fileName,date,description,status,publicScore,privateScore\r\n"
        "7,a.csv,2025-01-02 03:04:05.678000,m,SubmissionStatus.COMPLETE,0.99,None\r\n"
        "6,b.csv,soon,m,SubmissionStatus.ERROR,,\r\n"
        "5,c.csv,2025-01-02 03:04:05,m,SubmissionStatus.NEW,,\r\n"
    )
    assert parse_entries(text) == [
        Entry("7", "a.csv", "2025-01-02T03:04:05+00:00", "m", "complete", 0.99, None),
        Entry("6", "b.csv", "soon", "m", "error", None, None),
        Entry("5", "c.csv", "2025-01-02T03:04:05+00:00", "m", "pending", None, None),
    ]


def test_parse_entries_refuses_other_text() -> None:
    with pytest.raises(PipelineError, match="columns must be ref,fileName"):
        parse_entries("id,name\n1,a\n")
