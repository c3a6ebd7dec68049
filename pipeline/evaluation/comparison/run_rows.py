"""One run as a row of the comparison."""

from collections.abc import Sequence

from pipeline.competitions.ledger import Upload, after_reveal
from pipeline.evaluation.comparison.model import RunRow, Scores
from pipeline.evaluation.comparison.recipes import seeds_of
from pipeline.evaluation.comparison.scored_run import ScoredRun
from pipeline.evaluation.comparison.submissions import scored_upload


def run_row(
    scored: ScoredRun, scores: Scores, recipe_row: int, uploads: Sequence[Upload]
) -> RunRow:
    """Return a run with its `scores` and those of its submission."""
    record, upload = scored.run.record, scored_upload(scored, uploads)
    return RunRow(
        run=record.id,
        recipe=record.recipe_name,
        recipe_row=recipe_row,
        seeds=seeds_of(scored.run),
        state=scored.run.state(),
        created_at=record.created_at,
        parents=list(record.parents),
        members=len(record.usable_members),
        checkpoints=record.checkpoint_count,
        epochs=sum(member.epochs for member in record.members),
        minutes=sum(record.timings.values()) / 60,
        scores=scores,
        test_accuracy=scored.test_accuracy,
        public_score=upload.public_score if upload else None,
        private_score=upload.private_score if upload else None,
        hidden_score=upload.hidden_score if upload else None,
        submitted_at=upload.submitted_at if upload else "",
        after_reveal=upload is not None and after_reveal(upload, uploads),
    )
