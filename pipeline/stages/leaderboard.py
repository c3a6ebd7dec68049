"""The stage `leaderboard`: Kaggle's public leaderboard, and the places of one's own scores."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle.leaderboard import Leaderboard, LeaderboardFolder, Place
from pipeline.competitions.kaggle.upload import KaggleCompetition
from pipeline.competitions.ledger import Upload
from pipeline.data.spec import SPEC
from pipeline.stages.context import Context

_KAGGLE = KaggleCompetition.key


@dataclass(frozen=True)
class LeaderboardResult:
    """The leaderboard as it was just downloaded, and scored uploads with their places."""

    leaderboard: Leaderboard
    places: list[tuple[Upload, Place]]

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        board = self.leaderboard
        return {
            "file": str(board.path),
            "downloaded_at": board.downloaded_at,
            "teams": len(board.scores),
            "excluded": board.perfect,
            "places": [
                {
                    **upload.model_dump(include={"run", "competition", "submitted_at"}),
                    "public_score": upload.public_score,
                    **asdict(place),
                }
                for upload, place in self.places
            ],
        }

    def lines(self) -> list[str]:
        """Return the lines to print."""
        board = self.leaderboard
        lines = [
            f"public leaderboard of {SPEC.slug}, {board.downloaded_at}: {len(board.scores):,} "
            f"teams, stored in {board.path}",
            f"teams with 1.00000: {board.perfect:,}, excluded, as such a score comes from looking "
            "the digits up in MNIST, which publishes their labels",
        ]
        if not self.places:
            lines.append(
                "no upload to Kaggle has a score yet; make leaderboard RUN=<id> takes the score of "
                "a practice submission"
            )
        return [*lines, *(_line(*one) for one in self.places)]


def leaderboard(context: Context) -> LeaderboardResult:
    """Download the leaderboard; return it with the places of the person's own scores.

    Those are of each run that Kaggle has scored, or of the runs that the request names, for which
    a practice submission will do. Raises PipelineError.
    """
    uploads = _own_uploads(context)
    board = LeaderboardFolder(context.data_folder / "kaggle" / "leaderboard", context.report)
    downloaded = board.download()
    places = [
        (upload, downloaded.place(upload.public_score))
        for upload in uploads
        if upload.public_score is not None
    ]
    return LeaderboardResult(downloaded, places)


def _own_uploads(context: Context) -> Sequence[Upload]:
    """Return the newest scored upload of each run, best first."""
    scored = [upload for upload in context.ledger.uploads() if upload.public_score is not None]
    at_kaggle = {upload.run: upload for upload in scored if upload.competition == _KAGGLE}
    if not context.request.runs:
        return sorted(at_kaggle.values(), key=lambda upload: -(upload.public_score or 0))
    newest = {upload.run: upload for upload in scored} | at_kaggle
    for run in context.chosen_runs:
        if run.id not in newest:
            raise PipelineError(
                f"RUN is {run.id}, which has no public score yet; make submit RUN={run.id} gets one"
            )
    return [newest[run.id] for run in context.chosen_runs]


def _line(upload: Upload, place: Place) -> str:
    ties = place.last - place.first
    places = f"place {place.first:,}" + (f" to {place.last:,}" if ties else "")
    tied = f" ({ties:,} {'team has' if ties == 1 else 'teams have'} the same score)" if ties else ""
    practice = "" if upload.competition == _KAGGLE else f" {upload.competition}, on other rows:"
    return (
        f"{upload.run}:{practice} {upload.public_score:.5f} would be {places} of "
        f"{place.teams:,}{tied}"
    )
