"""The stage `submit`: the CSV uploaded once, and its score."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.common.errors import PipelineError
from pipeline.common.files import sha256
from pipeline.competitions import sources, submission
from pipeline.competitions.ledger import Upload
from pipeline.competitions.protocol import Competition
from pipeline.data.spec import SPEC
from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.submission import write_submission

_REVEALED = {"private_score", "hidden_score", "revealed_at"}
"""What only `make reveal` shows."""


@dataclass(frozen=True)
class SubmitResult:
    """The result of `submit`.

    `upload` is None if only a person can upload the CSV. `note` says why nothing was sent, and is
    empty if something was.
    """

    run: Run
    csv: Path
    upload: Upload | None
    note: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
        scores = self.run.record.scores
        return {
            "run": self.run.id,
            "csv": str(self.csv),
            "note": self.note,
            "validation": scores.model_dump() if scores else None,
            "upload": self.upload.model_dump(exclude=_REVEALED) if self.upload else None,
        }

    def lines(self) -> list[str]:
        """Return the lines that end the command's output."""
        lines = [self.note] if self.note else []
        scores, upload = self.run.record.scores, self.upload
        if scores:
            low, high = scores.interval
            lines.append(
                f"validation {SPEC.metric} {scores.validation_accuracy:.5f} on "
                f"{scores.validation_rows:,} rows (95 % interval {low:.5f} to {high:.5f})"
            )
        if upload and upload.status == "pending":
            lines.append(
                f"{upload.competition} has not scored {upload.reference} yet; make submit again "
                "asks for the score and uploads nothing"
            )
        if upload and upload.status == "complete" and upload.public_score is None:
            lines.append(
                f"{upload.competition} shows no score from 0 to 1 for {upload.reference}; see "
                f"{SPEC.url}/submissions"
            )
        if upload and upload.public_score is not None:
            lines.append(f"public score {upload.public_score:.5f}")
        return lines


def submit(context: Context) -> SubmitResult:
    """Upload the submission and wait for its score, unless the same CSV was uploaded before.

    Raises PipelineError.
    """
    competition = context.competition
    if competition is not None:
        competition.check_ready()
    run, csv = write_submission(context)
    if competition is None:
        return SubmitResult(run, csv, None, sources.upload_by_hand(csv))
    submission.check(csv)
    with context.ledger.submitting(context.report):
        return _submit_once(context, competition, run, csv)


def _submit_once(context: Context, competition: Competition, run: Run, csv: Path) -> SubmitResult:
    upload = _begin_upload(context, competition, run, csv)
    forced = f"make submit RUN={run.id} FORCE=1 uploads it again"
    if upload.status == "complete":
        note = f"this CSV was submitted on {upload.submitted_at}: nothing was uploaded; {forced}"
        return SubmitResult(run, csv, upload, note)
    if upload.status != "error":
        entry = competition.submit(csv, upload.message, upload.token)
        upload = upload.listed_as(entry)
        context.ledger.update(upload)
    if upload.status == "error":
        raise PipelineError(
            f"{csv}: {upload.competition} took the file on {upload.submitted_at} and marked it as "
            f"an error ({upload.reference}); {SPEC.url}/submissions may show the reason; {forced}"
        )
    return SubmitResult(run, csv, upload, "")


def _begin_upload(context: Context, competition: Competition, run: Run, csv: Path) -> Upload:
    """Return the earlier upload of this CSV, complete or interrupted; else a new one.

    With FORCE, an earlier one is returned only if it was interrupted, and is not lost.
    """
    checksum = sha256(csv)
    upload = context.ledger.of_csv(competition.key, checksum, context.request.force)
    if upload is not None:
        interrupted = upload.status == "sent"
        if not context.request.force or (interrupted and not competition.is_lost(upload.token)):
            return upload
    scores = run.record.scores
    assert scores is not None, "write_submission scores the run"
    message = f"{run.record.recipe_name}, validation {scores.validation_accuracy:.5f}"
    message = context.request.message or message
    return context.ledger.begin(run.id, checksum, competition.key, message)
