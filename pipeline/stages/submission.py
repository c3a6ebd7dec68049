"""The stages `submission` and `submit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.files import sha256
from pipeline.competitions import sources, submission
from pipeline.competitions.ledger import Upload
from pipeline.data.spec import SPEC
from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble


@dataclass(frozen=True)
class Outcome:
    """What `submit` came to.

    `upload` is None where only a person can upload; `note` says why nothing was sent, and is
    empty where something was.
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
            "upload": self.upload.model_dump() if self.upload else None,
        }

    def lines(self) -> list[str]:
        """Return what the person reads at the end."""
        lines = [self.note] if self.note else []
        scores, upload = self.run.record.scores, self.upload
        if scores:
            low, high = scores.interval
            lines.append(
                f"validation accuracy {scores.validation_accuracy:.5f} on "
                f"{scores.validation_rows:,} rows (95 % interval {low:.5f} to {high:.5f})"
            )
        if upload and upload.public_score is None:
            lines.append(
                f"{upload.competition} has not scored {upload.reference} yet; make submit again "
                "asks for the score and uploads nothing"
            )
        if upload and upload.public_score is not None:
            lines.append(f"public score {upload.public_score:.5f}")
        if upload and upload.private_score is not None:
            lines.append(f"private score {upload.private_score:.5f}")
        if upload and upload.hidden_score is not None:
            lines.append(f"all hidden rows {upload.hidden_score:.5f}")
        return lines


def write_submission(context: Context) -> tuple[Run, Path]:
    """Write submissions/<run>.csv and .png, unless they are there and right.

    Returns the run and the CSV. Raises PipelineError.
    """
    if isinstance(context.competition, sources.MnistBenchmark):
        raise PipelineError(sources.NOT_SUBMITTED)
    run = ensemble(context)
    csv = context.submissions_folder / f"{run.id}.csv"
    picture = csv.with_suffix(".png")
    labels = run.load_arrays("test")["probabilities"].argmax(axis=1)
    if picture.exists() and _holds(csv, labels):
        context.report(f"{csv} is written already")
        return run, csv
    # Drawing takes seconds to import.
    from pipeline.evaluation import pictures

    pictures.draw_heatmap(run, picture)
    submission.write(csv, labels)  # last: one that is there and right says that both are
    context.report(f"wrote {csv} ({len(labels):,} rows) and {picture}")
    return run, csv


def submit(context: Context) -> Outcome:
    """Upload the submission and wait for its score, unless this very CSV was uploaded before.

    Raises PipelineError.
    """
    context.competition.check_ready()
    run, csv = write_submission(context)
    if isinstance(context.competition, sources.FolderCompetition):
        return Outcome(run, csv, None, sources.upload_by_hand(csv))
    submission.check(csv)
    with context.ledger.submitting(context.report):
        return _submit_once(context, run, csv)


def _submit_once(context: Context, run: Run, csv: Path) -> Outcome:
    upload = _attempt(context, run, csv)
    if upload.status == "complete":
        note = f"this CSV was submitted on {upload.submitted_at}: nothing was uploaded"
        again = f"make submit RUN={run.id} FORCE=1 uploads it again"
        return Outcome(run, csv, upload, f"{note}; {again}")
    entry = context.competition.submit(csv, upload.message, upload.token)
    upload = upload.listed_as(entry)
    context.ledger.update(upload)
    if upload.status == "error":
        raise PipelineError(
            f"{csv}: {upload.competition} took the file and then marked it as an error "
            f"({upload.reference}); {SPEC.url}/submissions may tell the reason"
        )
    return Outcome(run, csv, upload, "")


def _attempt(context: Context, run: Run, csv: Path) -> Upload:
    """Return the upload of this CSV that was made, or was cut off, before; else a new one."""
    checksum, competition = sha256(csv), _competition_key(context)
    if not context.request.force:
        upload = context.ledger.of_csv(competition, checksum)
        if upload is not None:
            return upload
    scores = run.record.scores
    assert scores is not None, "write_submission scores the run"
    message = f"{run.record.recipe_name}, validation {scores.validation_accuracy:.5f}"
    return context.ledger.begin(run.id, checksum, competition, context.request.message or message)


def _competition_key(context: Context) -> str:
    """Name the competition in the ledger: each practice seed has hidden rows of its own."""
    name, seed = context.competition.name, getattr(context.competition, "seed", 0)
    return f"{name}-{seed}" if seed else name


def _holds(csv: Path, labels: NDArray[np.integer]) -> bool:
    """Whether the CSV is a whole submission of just these labels."""
    try:
        return np.array_equal(submission.check(csv, rows=len(labels)), labels)
    except PipelineError:
        return False
