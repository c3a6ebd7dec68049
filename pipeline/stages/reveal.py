"""The stage `reveal`: the practice competition's private score of a submission, on request."""

from dataclasses import dataclass
from typing import Any

from pipeline.common.errors import PipelineError
from pipeline.common.files import sha256
from pipeline.competitions.ledger import Upload
from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.practice.score import Part, Score
from pipeline.runs import Run
from pipeline.stages.context import Context


@dataclass(frozen=True)
class RevealResult:
    """The scores of a run's submission, and the ledger's row, which notes the first reveal."""

    run: Run
    upload: Upload
    score: Score

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        return {
            "run": self.run.id,
            "competition": self.upload.competition,
            "revealed_at": self.upload.revealed_at,
            **{name: _part_as_json(part) for name, part in vars(self.score).items()},
        }

    def lines(self) -> list[str]:
        """Return the lines to print."""
        names = {"public": "public score", "private": "private score", "hidden": "all hidden rows"}
        lines = []
        for name, part in vars(self.score).items():
            low, high = _interval(part)
            lines.append(
                f"{names[name]} {part.share:.5f} on {part.rows:,} rows "
                f"(95 % interval {low:.5f} to {high:.5f})"
            )
        return [
            *lines,
            f"first revealed at {self.upload.revealed_at}, as the ledger notes",
            "do not choose runs by these scores: the chosen one's would be too high; make compare "
            "marks what is submitted after a reveal; PRACTICE_SEED=<n> draws other hidden rows",
        ]


def reveal(context: Context) -> RevealResult:
    """Reveal the private score of the run that the request names. Raises PipelineError."""
    return reveal_run(context, context.only_run("reveal", "submitted run"))


def reveal_run(context: Context, run: Run) -> RevealResult:
    """Reveal the private score of a run of the context's practice competition.

    The ledger notes the scores, and when they were first revealed. Raises PipelineError if the
    run's CSV was not submitted to it.
    """
    competition = context.competition
    if not isinstance(competition, PracticeCompetition):
        raise PipelineError(
            f"RUN is {run.id}, which is of {run.record.source}: make reveal is for runs of the "
            "practice competition; Kaggle shows private scores only after a competition has ended"
        )
    csv = context.submissions_folder / f"{run.id}.csv"
    upload = context.ledger.of_csv(competition.key, sha256(csv)) if csv.is_file() else None
    if upload is None or upload.status != "complete":
        found = "is not submitted as it is now" if csv.is_file() else "does not exist"
        raise PipelineError(
            f"{csv} {found}; make submit RUN={run.id} submits it to {competition.key} first"
        )
    score = competition.reveal(csv)
    upload = context.ledger.reveal(upload, score.private.share, score.hidden.share)
    return RevealResult(run, upload, score)


def _part_as_json(part: Part) -> dict[str, Any]:
    return {**part._asdict(), "score": part.share, "interval": list(_interval(part))}


def _interval(part: Part) -> tuple[float, float]:
    from pipeline.evaluation.scores import wilson_interval  # SciPy takes seconds to import

    return wilson_interval(part.correct, part.rows)
