"""The leaderboard: downloaded by the real kaggle command, checked, stored, and places in it."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle.leaderboard import (
    Leaderboard,
    LeaderboardFolder,
    csv_in,
    scores_in,
)
from pipeline.competitions.ledger import Ledger
from pipeline.runs import RunStore
from pipeline.stages.context import Context
from pipeline.stages.leaderboard import LeaderboardResult, leaderboard
from pipeline.stages.request import Request
from tests.alone import training_record
from tests.kaggle.bench import RULES, SETTINGS, Bench, enter
from tests.kaggle_stand_in import TOKEN, archive

HEADER = "Rank,TeamId,TeamName,LastSubmissionDate,Score,SubmissionCount,TeamMemberUserNames"
NAME = "digit-recognizer-publicleaderboard-2026-01-02T03:04:05.csv"
SCORES = [1, 1, 0.9995, 0.9957, 0.9957, 0.995, 0]


def table(*cells: object) -> str:
    """Return a leaderboard with these cells as scores, as Kaggle writes it."""
    rows = [
        f'{n},{100 + n},"Team, ""{n}""\x1b[2J",2026-01-01 00:00:00,{cell},3,a\n'
        for n, cell in enumerate(cells, 1)
    ]
    return f"\ufeff{HEADER}\n" + "".join(rows)


GOOD = table(*(f"{score:.5f}" for score in SCORES))


def folder(bench: Bench) -> LeaderboardFolder:
    return LeaderboardFolder(bench.folder / "leaderboard", bench.lines.append)


def stored(bench: Bench) -> list[str]:
    return sorted(path.name for path in (bench.folder / "leaderboard").glob("*"))


def test_a_leaderboard_is_stored_as_it_was_with_its_date(bench: Bench) -> None:
    bench.server.leaderboard_zip = archive({NAME: GOOD.encode()})
    board = folder(bench).download()
    assert (board.scores, board.perfect) == (SCORES, 2)
    assert board.path.read_text(encoding="utf-8") == GOOD
    (name,) = stored(bench)
    date = re.fullmatch(r"(20\d\d-\d\d-\d\dT\d\d)-(\d\d)-(\d\d)Z\.csv", name)
    assert date
    assert board.downloaded_at == f"{':'.join(date.groups())}+00:00"
    for request in bench.server.requests:
        carries = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        assert carries == (request.name != "leaderboard")


def test_a_cut_archive_is_downloaded_once_more(bench: Bench) -> None:
    bench.server.leaderboard_zip = archive({NAME: GOOD.encode()})
    bench.server.faults.truncated_downloads = 1
    assert folder(bench).download().scores == SCORES
    assert any("downloading it once more" in line for line in bench.lines)
    assert bench.server.count("leaderboard") == 2


@pytest.mark.parametrize(
    ("score", "first", "last"),
    [(1.0, 1, 1), (0.9995, 1, 2), (0.996, 2, 2), (0.9957, 2, 4), (0.9951, 4, 4), (0.0, 5, 6)],
)
def test_a_score_takes_places_among_the_teams_below_1(score: float, first: int, last: int) -> None:
    place = Leaderboard(Path(), "", SCORES).place(score)
    assert (place.first, place.last, place.teams) == (first, last, 6)


WRONG: list[tuple[bytes, str]] = [
    (b"<html>sign in</html>", "digit-recognizer.zip: the downloaded file is not a whole zip"),
    (archive({"train.csv": GOOD.encode()}), "is not a leaderboard (found in it: train.csv);"),
    (archive({f"../{NAME}": GOOD.encode()}), f"its member '../{NAME}' points outside the folder"),
    (archive({NAME: GOOD.replace("Score", "Rating").encode()}), "line 1 has no column Score"),
    (archive({NAME: table().encode()}), "is not a leaderboard (it has no teams);"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_what_is_no_leaderboard_is_not_stored(bench: Bench, content: bytes, message: str) -> None:
    bench.server.leaderboard_zip = content
    assert message in bench.failure(folder(bench).download)
    assert stored(bench) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *WRONG,
        (archive({f"a/{NAME}": GOOD.encode()}), f"(found in it: a/{NAME});"),
        (archive({NAME: b"", "\x1b[2J": b""}), f"(found in it: {NAME}, \\x1b[2J);"),
        (archive({}), "is not a leaderboard (found in it: nothing);"),
        (archive({NAME: bytes(50_000_001)}), f"{NAME} has more than 50 MB"),
        (archive({NAME: GOOD.replace("TeamId", "Id").encode()}), "line 1 has no column TeamId"),
        (archive({NAME: GOOD.encode("utf-16")}), "not a leaderboard ('utf-8' codec can't decode"),
        (archive({NAME: b""}), "is not a leaderboard (line 1 has no column TeamId);"),
        (archive({NAME: table(0.9, "").encode()}), "line 3: Score is missing"),
        (archive({NAME: table("95.5").encode()}), "line 2: Score is '95.5'"),
        (archive({NAME: table("nan").encode()}), "line 2: Score is 'nan'"),
        (archive({NAME: table("\x1b[2J").encode()}), "line 2: Score is '\\x1b[2J'"),
    ],
)
def test_a_wrong_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "digit-recognizer.zip"
    path.write_bytes(content)
    with pytest.raises(PipelineError) as caught:
        scores_in(csv_in(path))
    text = str(caught.value)
    assert message in text
    assert text.isprintable()
    assert len(text) < 500


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"status": {"DownloadLeaderboard": 401}}, ["refused the access token", SETTINGS]),
        ({"rules_accepted": False}, ["not accepted yet", RULES]),
        ({"status": {"DownloadLeaderboard": 404}}, ["404 while downloading the leaderboard"]),
        ({"status": {"DownloadLeaderboard": 429}}, ["429 while downloading the leaderboard"]),
        ({"status": {"DownloadLeaderboard": 500}}, ["500 while downloading the leaderboard"]),
    ],
)
def test_a_download_fails(bench: Bench, faults: dict[str, Any], expected: list[str]) -> None:
    for name, value in faults.items():
        setattr(bench.server.faults, name, value)
    text = bench.failure(folder(bench).download)
    for words in expected:
        assert words in text
    assert stored(bench) == []


def test_without_a_network_the_stored_leaderboard_is_named_and_not_used(bench: Bench) -> None:
    for name in ("2026-01-02T03-04-05Z.csv", "2025-12-31T23-59-59Z.csv"):
        path = bench.folder / "leaderboard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD)
    bench.server.stop()
    text = bench.failure(folder(bench).download)
    assert "Kaggle cannot be reached while downloading the leaderboard: the connection was" in text
    assert text.endswith("leaderboard/2026-01-02T03-04-05Z.csv)")
    assert len(stored(bench)) == 2


def test_without_credentials_nothing_is_tried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, bench.server.environment(bench.home, token=None))
    text = bench.failure(folder(bench).download)
    assert "no Kaggle credentials found" in text
    assert "SOURCE=practice" not in text
    assert bench.server.requests == []


LEDGER = """run,sha256,competition,token,message,submitted_at,public_score
best-s0-1,1,kaggle,a:,a:,2026-01-01T00:00:00+00:00,0.99000
best-s0-1,2,kaggle,b:,b:,2026-01-02T00:00:00+00:00,0.99570
other-s0-1,3,kaggle,c:,c:,2026-01-03T00:00:00+00:00,0.90000
other-s0-1,4,kaggle,d:,d:,2026-01-04T00:00:00+00:00,
tried-s0-1,5,practice,e:,e:,2026-01-05T00:00:00+00:00,0.99950
"""


@pytest.fixture
def root(bench: Bench, tmp_path: Path) -> Path:
    """A folder with a ledger of scored uploads, and runs of them."""
    bench.server.leaderboard_zip = archive({NAME: GOOD.encode()})
    path = Ledger(tmp_path / "submissions" / "ledger.csv").path
    path.parent.mkdir()
    path.write_text(LEDGER)
    for name in ("best-s0-1", "tried-s0-1", "unscored-s0-1"):
        RunStore(tmp_path / "runs").create(training_record(name))
    return tmp_path


def run(root: Path, *runs: str) -> LeaderboardResult:
    return leaderboard(Context(root, Request(runs=runs), lambda line: None))


def test_own_scores_take_places(root: Path) -> None:
    result = CliRunner().invoke(cli.app, ["leaderboard", "--root", str(root), "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert (printed["teams"], printed["excluded"]) == (7, 2)
    assert Path(printed["file"]).parent == root / "data" / "kaggle" / "leaderboard"
    places = [(one["run"], one["first"], one["last"], one["teams"]) for one in printed["places"]]
    assert places == [("best-s0-1", 2, 4, 6), ("other-s0-1", 5, 5, 6)]
    board, excluded, *own = run(root).lines()
    assert re.match(r"public leaderboard of digit-recognizer, 20\S+\+00:00: 7 teams, stored", board)
    assert excluded.startswith("teams with 1.00000: 2, excluded, as such a score comes from")
    assert own == [
        "best-s0-1: 0.99570 would be place 2 to 4 of 6 (2 teams have the same score)",
        "other-s0-1: 0.90000 would be place 5 of 6",
    ]


def test_a_practice_score_is_said_to_be_one(root: Path, bench: Bench) -> None:
    assert run(root, "tried", "best").lines()[2:] == [
        "tried-s0-1: practice, on other rows: 0.99950 would be place 1 to 2 of 6 "
        "(1 team has the same score)",
        "best-s0-1: 0.99570 would be place 2 to 4 of 6 (2 teams have the same score)",
    ]
    bench.server.requests.clear()
    with pytest.raises(PipelineError, match=r"unscored-s0-1, which has no public score yet; make"):
        run(root, "unscored")
    assert bench.server.requests == []
    os.remove(root / "submissions" / "ledger.csv")
    shutil.rmtree(root / "data")
    assert "no upload to Kaggle has a score yet" in run(root).lines()[2]
