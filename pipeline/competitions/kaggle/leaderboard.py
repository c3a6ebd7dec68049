"""Kaggle's public leaderboard: downloaded, checked, stored with its date, and places in it."""

import csv
import io
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.competitions.csv_records import parse_records
from pipeline.competitions.kaggle.archive import BrokenArchiveError, open_archive, write_member
from pipeline.competitions.kaggle.calls import call
from pipeline.competitions.kaggle.credentials import require_credentials
from pipeline.competitions.protocol import Share
from pipeline.data.spec import SPEC

_LARGEST = 50_000_000  # bytes, of the archive and of the CSV; 10,000 teams take 0.7 MB
_MEMBER = re.compile(rf"{SPEC.slug}-publicleaderboard[\w.:-]*\.csv", re.ASCII)
_DATE = "%Y-%m-%dT%H-%M-%SZ"
_DOWNLOAD_LIMIT = 300.0  # seconds
_PERFECT = 1.0


class Team(BaseModel):
    """One row of the leaderboard: a team and its best public score, a share in [0, 1]."""

    team: str = Field(alias="TeamId")
    score: Share = Field(alias="Score")


@dataclass(frozen=True)
class Place:
    """The places that a score would take: `first` to `last` of `teams`, counted from 1.

    It counts as one team more. The places are several where teams have the same score.
    """

    first: int
    last: int
    teams: int


@dataclass(frozen=True)
class Leaderboard:
    """A stored leaderboard: its file, when it was downloaded (UTC, ISO 8601), all teams' scores."""

    path: Path
    downloaded_at: str
    scores: list[float]

    @property
    def perfect(self) -> int:
        """How many teams have 1.00000, which no network reaches: `place` leaves them out."""
        return self.scores.count(_PERFECT)

    def place(self, score: float) -> Place:
        """Return the places that a score in [0, 1] would take among the teams below 1.00000."""
        others = [one for one in self.scores if one < _PERFECT]
        better, equal = sum(one > score for one in others), others.count(score)
        return Place(better + 1, better + equal + 1, len(others) + 1)


@dataclass(frozen=True)
class LeaderboardFolder:
    """The stored leaderboards: `<UTC date and time>.csv` in `folder`, as Kaggle wrote them.

    `report` gets progress lines.
    """

    folder: Path
    report: Report

    def download(self) -> Leaderboard:
        """Download the public leaderboard, check it, store it and return it.

        Raises PipelineError, which names the newest stored leaderboard if there is one; then
        nothing is stored.
        """
        try:
            require_credentials(alternative="")
            # Two commands at once would remove each other's download.
            lock = self.folder.with_name(f".{self.folder.name}.lock")
            with files.locked(lock, lambda: self.report("waiting for another download to end")):
                return self._download()
        except PipelineError as error:
            stored = max(self.folder.glob("20*Z.csv"), default=None)
            if stored is None:
                raise
            raise PipelineError(f"{error} (the newest stored leaderboard is {stored})") from None

    def _download(self) -> Leaderboard:
        temporary = self.folder / ".download"
        try:
            try:
                content = self._content(temporary)
            except BrokenArchiveError as error:
                self.report(f"{error}: downloading it once more")
                content = self._content(temporary)
            scores = scores_in(content)
            date = datetime.now(UTC)
            path = self.folder / f"{date.strftime(_DATE)}.csv"
            with files.replacing(path) as written:
                written.write_bytes(content)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return Leaderboard(path, date.isoformat(timespec="seconds"), scores)

    def _content(self, temporary: Path) -> bytes:
        """Download the archive into the folder `temporary`; return the bytes of the CSV in it."""
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed process
        temporary.mkdir(parents=True)
        self.report("downloading the public leaderboard from Kaggle")
        call(
            ["competitions", "leaderboard", SPEC.slug, "--download", "-q", "-p", str(temporary)],
            "downloading the leaderboard",
            _DOWNLOAD_LIMIT,
        )
        archive = temporary / SPEC.archive
        if not archive.is_file():
            raise PipelineError(
                f"{archive.name}: the kaggle command reported success but left no such file; run "
                "`make setup` to get the locked version of kaggle"
            )
        return csv_in(archive)


def csv_in(archive: Path) -> bytes:
    """Return the leaderboard in an archive, which is unpacked beside it.

    Raises PipelineError if there is none in it, or anything else, and BrokenArchiveError.
    """
    target = archive.with_name("leaderboard.csv")
    with open_archive(archive, _LARGEST) as file:
        members = file.namelist()
        if len(members) != 1 or not _MEMBER.fullmatch(members[0]):
            found = printable(", ".join(members) or "nothing")
            raise _no_leaderboard(f"found in it: {found}")
        write_member(file, members[0], target, _LARGEST)
    return target.read_bytes()


def scores_in(content: bytes) -> list[float]:
    """Return the teams' scores in a leaderboard's CSV. Raises PipelineError if it is none."""
    try:
        teams = parse_records(io.StringIO(content.decode("utf-8-sig"), newline=""), Team)
    except (ValueError, csv.Error) as error:
        raise _no_leaderboard(printable(error, 300)) from None
    if not teams:
        raise _no_leaderboard("it has no teams")
    return [round(team.score, 5) for team in teams]


def _no_leaderboard(reason: str) -> PipelineError:
    return PipelineError(
        f"{SPEC.archive}: is not a leaderboard ({reason}); if {SPEC.url}/leaderboard shows one in "
        "a browser, run `make setup` and the same command again"
    )
