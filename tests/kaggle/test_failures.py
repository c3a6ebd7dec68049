"""What the kaggle command prints: the list, and why a call failed, in one line without secrets."""

import json
import sys
from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle import command
from pipeline.competitions.kaggle.calls import FailureKind, classify, failure
from pipeline.competitions.kaggle.command import CommandResult, run_kaggle
from pipeline.competitions.kaggle.upload import parse_entries
from pipeline.competitions.protocol import Entry
from tests.kaggle.bench import SETTINGS, Bench, enter
from tests.kaggle_stand_in import KEY, TOKEN, UPLOAD_SESSION, USERNAME

HEADER = "ref,fileName,date,description,status,publicScore,privateScore"


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
    nothing = (sys.executable, "-S", *command._COMMAND[1:])
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
            "the proxy refused the request",
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
            "the disk is full, or a limit to it is reached",
        ),
        (
            1,
            "Connection error: [Errno 27] File too large\nDownload failed after 5 retries.",
            "",
            FailureKind.DISK,
            "(a quota, ulimit -f), while testing; free",
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
            -9,
            "Warning: Looks like you're using an outdated Kaggle Version",
            "",
            FailureKind.KILLED,
            "killed by SIGKILL while testing, by a person or for lack of memory; run the same",
        ),
        (-15, "", "404 Client Error", FailureKind.KILLED, "was killed by SIGTERM while testing"),
        (-99, "", "", FailureKind.KILLED, "was killed by signal 99 while testing"),
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
    text = str(failure(result, kind, "testing"))
    assert expected in text
    assert UPLOAD_SESSION not in text


def test_parse_entries_reads_each_column() -> None:
    text = (
        "Warning: something\n"
        f"{HEADER}\r\n"
        "7,a.csv,2025-01-02 03:04:05.678000,m,SubmissionStatus.COMPLETE,0.99,None\r\n"
        "6,b.csv,soon,m,SubmissionStatus.ERROR,,\r\n"
        "5,c.csv,2025-01-02 03:04:05,m,SubmissionStatus.NEW,,\r\n"
    )
    names = ("reference", "file_name", "submitted_at", "message", "status", "public_score")
    assert parse_entries(text) == [
        Entry.model_validate(dict(zip(names, values, strict=True)))
        for values in (
            ("7", "a.csv", "2025-01-02T03:04:05+00:00", "m", "complete", 0.99),
            ("6", "b.csv", "", "m", "error", None),
            ("5", "c.csv", "2025-01-02T03:04:05+00:00", "m", "pending", None),
        )
    ]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        *[("publicScore", text) for text in ("nan", "1e999", "95.5", "-0.1", "1,5", "x")],
        *[("ref", text) for text in ("=cmd()", "\x1b[2J", "7" * 999, "7\n8")],
        *[("date", text) for text in ("soon", "\x1b[2J", "9" * 99)],
        *[("status", text) for text in ("SubmissionStatus.NEW", "=cmd()")],
    ],
)
def test_values_that_no_submission_has_are_left_out(column: str, text: str) -> None:
    cells = [text if name == column else "" for name in HEADER.split(",")]
    (entry,) = parse_entries(f"{HEADER}\n" + ",".join(f'"{cell}"' for cell in cells))
    assert (entry.reference, entry.submitted_at, entry.status) == ("unknown", "", "pending")
    assert entry.public_score is None


@pytest.mark.parametrize("rows", ["id,name\n1,a\n", f"{HEADER}\n1,{'a' * 140_000},,,,,\n"])
def test_parse_entries_refuses_other_text(rows: str) -> None:
    with pytest.raises(PipelineError, match="columns must be ref,fileName"):
        parse_entries(rows)


def test_what_the_command_prints_is_made_printable() -> None:
    shown = failure(CommandResult(1, "", "odd \x1b[2J" + "x" * 999, 1.0), FailureKind.OTHER, "t")
    assert "\x1b" not in str(shown)
    assert len(str(shown)) < 400
