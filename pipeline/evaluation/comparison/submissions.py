"""Which public and private scores belong to which run."""

from collections.abc import Iterable, Sequence

from pipeline.common.text import printable
from pipeline.competitions.ledger import Upload
from pipeline.evaluation.comparison.model import PublicScores
from pipeline.evaluation.comparison.scored_run import ScoredRun
from pipeline.evaluation.statistics.public_score import rank_correlation


def scored_upload(scored: ScoredRun, uploads: Sequence[Upload]) -> Upload | None:
    """Return the newest scored upload of exactly the CSV that a run's probabilities give now.

    An earlier CSV of the run does not count, because the run may have been trained since.
    """
    with_score = (upload for upload in reversed(uploads) if upload.public_score is not None)
    return next((one for one in with_score if one.sha256 == scored.csv_sha256), None)


def public_scores(runs: Iterable[ScoredRun], uploads: Sequence[Upload]) -> list[PublicScores]:
    """Return validation against public score for each competition with a scored submission.

    Runs that give the same CSV count once.
    """
    points: dict[str, dict[str, tuple[str, float, float]]] = {}
    for scored in runs:
        upload = scored_upload(scored, uploads)
        if upload and upload.public_score is not None:
            accuracy = float(scored.correct.mean())
            point = (scored.run.id, accuracy, upload.public_score)
            points.setdefault(upload.competition, {}).setdefault(upload.sha256, point)
    return [
        PublicScores(
            competition=printable(name),
            points=list(found.values()),
            rank_correlation=rank_correlation(
                [accuracy for _, accuracy, _ in found.values()],
                [score for _, _, score in found.values()],
            ),
        )
        for name, found in points.items()
    ]
