"""Downloading and unpacking the competition's files, and every way in which that can fail."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle.archive import BrokenArchiveError
from pipeline.competitions.kaggle.download import unpack
from pipeline.competitions.protocol import Competition, Source
from tests.commands import REPOSITORY, wait_until
from tests.kaggle.bench import RULES, SETTINGS, Bench
from tests.kaggle.files import GOOD, GOOD_ZIP, TEST, TRAIN, unpack_bytes
from tests.kaggle_stand_in import TOKEN, archive


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
    monkeypatch.setattr("pipeline.competitions.kaggle.download.check_files", None)
    assert bench.source().fetch().train == bench.folder / "train.csv"


def test_leftover_of_a_cut_download_is_not_trusted(bench: Bench) -> None:
    leftover = bench.folder / ".download"
    leftover.mkdir(parents=True)
    (leftover / "digit-recognizer.zip").write_bytes(b"x" * len(GOOD_ZIP))
    bench.source().fetch()
    assert (bench.folder / "train.csv").read_bytes() == TRAIN
    assert not leftover.exists()


FETCH = """
import sys
from pathlib import Path
from pipeline.competitions.kaggle.download import KaggleSource
KaggleSource(folder=Path(sys.argv[1]), report=print).fetch()
"""


def test_what_a_kill_left_is_removed_by_the_next_command(bench: Bench, tmp_path: Path) -> None:
    files, temporary = bench.source().fetch(), bench.folder / ".download"
    aside = files.train.rename(tmp_path / "aside.csv")
    bench.server.faults.hold_downloads = True
    process = subprocess.Popen([sys.executable, "-c", FETCH, bench.folder], cwd=REPOSITORY)
    seen: list[tuple[str, bool]] = []

    def kill(line: str) -> None:
        seen.append((line, temporary.exists()))
        process.kill()

    try:
        wait_until(lambda: list(temporary.glob("*.zip")), "no download")
        aside.rename(files.train)  # now the files are as stamped
        assert bench.source(report=kill).fetch() == files
    finally:
        process.kill()
        process.wait()
    assert seen == [("waiting for another download to end", True)]
    assert not temporary.exists()


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
    assert any(
        "train.csv, line 1: column 2 is '(none)' where 'pixel0' belongs" in x for x in bench.lines
    )
    assert (bench.folder / "train.csv").read_text() == "label\n7\n"
    assert sorted(path.name for path in bench.folder.iterdir()) == ["test.csv", "train.csv"]


def test_archive_that_points_outside_the_folder_is_refused(bench: Bench) -> None:
    bench.server.zip_bytes = archive({**GOOD, "../evil.csv": b"evil"})
    text = bench.failure(bench.source().fetch)
    assert "member '../evil.csv' points outside the folder" in text
    assert list(bench.folder.iterdir()) == []
    assert bench.server.count("archive") == 1


def test_unpack_reads_members_zipped_once_more(tmp_path: Path) -> None:
    nested = {f"{name}.zip": archive({name: content}) for name, content in GOOD.items()}
    folder = tmp_path / "data"
    unpack_bytes(archive(nested), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == GOOD


def flipped(content: bytes) -> bytes:
    """Return an archive with one damaged byte in its first member."""
    return content[:200] + bytes([content[200] ^ 0xFF]) + content[201:]


EMPTY = {"train.csv": b"", "test.csv": b""}


def damaged(method: int) -> bytes:
    """Return an archive whose members are packed by a method, with a damaged byte in the first."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name in EMPTY:
            file.writestr(name, TEST[:5000])
    content = buffer.getvalue()
    return content[:50] + bytes([content[50] ^ 0xFF]) + content[51:]


def understated(name: str, size: int) -> bytes:
    """Return an archive with a member of `size` bytes of which its directory says 10."""
    content = archive({**EMPTY, name: bytes(size)})
    return content.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))


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
            "train.csv: has 37,800 rows; 42,000 are needed",
            False,
        ),
        (
            archive({**GOOD, "test.csv": TEST.replace(b"pixel783", b"pixel784", 1)}),
            "test.csv, line 1: column 784 is 'pixel784' where 'pixel783' belongs; needed: pixel0,",
            False,
        ),
        (
            archive({**GOOD, "test.csv": TEST.replace(b"\n0,", b"\n", 1)}),
            "test.csv, line 2: has 783 cells, 784 are needed",
            False,
        ),
        (
            archive({**GOOD, "test.csv": TEST.replace(b"\n0,", b"\n300,", 1)}),
            "test.csv, line 2, column 'pixel0': is 300; a whole number from 0 to 255 is needed",
            False,
        ),
        (damaged(zipfile.ZIP_LZMA), "train.csv is not packed by deflate", False),
        (damaged(zipfile.ZIP_BZIP2), "train.csv is not packed by deflate", False),
        (understated("sample_submission.csv", 2_000_001), "not a whole zip archive", True),
        (archive({"é": b""}).replace("é".encode(), b"\xff\xff"), "not a whole zip archive", True),
        (archive(EMPTY | {str(n): b"" for n in range(99)}), "101 members, and 100 are", False),
        (archive({f"{n:060000}": b"" for n in range(20)}), "list of members has 1 MB", False),
        (archive({f"\x1b[2J{n}": b"" for n in range(99)}), "(found: \\x1b[2J0, ", False),
        (archive({"../\x1b[2J\n" + "x" * 9999: b""}), "points outside the folder", False),
    ],
)
def test_unpack_refuses(tmp_path: Path, content: bytes, expected: str, broken: bool) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with pytest.raises(PipelineError) as caught:
        unpack_bytes(content, folder)
    assert expected in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert isinstance(caught.value, BrokenArchiveError) == broken
    assert list(folder.iterdir()) == []


def nested(member: str, content: bytes) -> dict[str, bytes]:
    return {f"{member}.zip": archive({member: content})}


@pytest.mark.parametrize(
    ("members", "name", "limit"),
    [
        ({"train.csv": bytes(200_000_001)}, "train.csv", 200_000_000),
        ({"sample_submission.csv": bytes(2_000_001)}, "sample_submission.csv", 2_000_000),
        (nested("sample_submission.csv", bytes(2_000_001)), "sample_submission.csv", 2_000_000),
        (
            {"sample_submission.csv.zip": bytes(2_000_001)},
            "sample_submission.csv.zip",
            2_000_000,
        ),
    ],
)
def test_a_member_is_unpacked_up_to_its_limit(
    tmp_path: Path, members: dict[str, bytes], name: str, limit: int
) -> None:
    assert len(TRAIN.replace(b"0,", b"255,")) < 200_000_000, "the largest that Kaggle can offer"
    with pytest.raises(PipelineError, match=rf"{name} has more than {limit // 10**6} MB") as caught:
        unpack_bytes(archive({**EMPTY, **members}), tmp_path / "data")
    assert not isinstance(caught.value, BrokenArchiveError)
    assert (tmp_path / name).stat().st_size <= limit
    assert not (tmp_path / "data").exists()


def test_an_archive_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "digit-recognizer.zip"
    with path.open("wb") as file:
        file.truncate(300_000_001)
    with pytest.raises(PipelineError, match=r"digit-recognizer.zip has more than 300 MB"):
        unpack(path, tmp_path / "data")


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


def test_a_limit_to_files_is_noticed_before_the_download(bench: Bench) -> None:
    command = ["bash", "-c", 'ulimit -f 90000; exec "$@"', "bash", sys.executable, "-c", FETCH]
    done = subprocess.run([*command, bench.folder], cwd=REPOSITORY, capture_output=True, text=True)
    assert f"{bench.folder}: files of at most 92.2 MB may be written (ulimit -f)" in done.stderr
    assert bench.server.count("archive") == 0
    assert list(bench.folder.iterdir()) == []


@pytest.mark.parametrize("downloads", [0, 1])
def test_a_full_disk_ends_the_download(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, downloads: int
) -> None:
    def usage(path: Path) -> SimpleNamespace:
        full = bench.server.count("archive") == downloads
        return SimpleNamespace(free=10_000_000 if full else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr("pipeline.competitions.kaggle.command._BEAT", 0.1)
    bench.server.faults.hold_downloads = True
    text = bench.failure(bench.source().fetch)
    assert f"{bench.folder}: its disk has 10 MB free; 1" in text
    assert bench.server.count("archive") == downloads
    assert list(bench.folder.iterdir()) == []


def test_folder_that_cannot_be_made(bench: Bench) -> None:
    bench.folder.write_text("a file in the way")
    assert "cannot make this folder" in bench.failure(bench.source().fetch)
