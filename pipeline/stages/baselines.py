"""The stage `baselines`: trains and scores every system of the tutorials for their table."""

from collections.abc import Sequence
from pathlib import Path

from pipeline import recipe as recipes
from pipeline.common.files import write_text
from pipeline.common.progress import Report
from pipeline.data.spec import SPEC
from pipeline.evaluation import tutorials
from pipeline.evaluation.tutorials import BASELINES, Baseline, Measurement, TutorialRow
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble, training_accuracy
from pipeline.stages.request import Request
from pipeline.stages.reveal import reveal_run
from pipeline.stages.submit import submit


def baselines(
    root: Path,
    seeds: int,
    report: Report,
    systems: Sequence[Baseline] = BASELINES,
    force: bool = False,
) -> list[TutorialRow]:
    """Train and score `systems` with the seeds 0 to `seeds` - 1; return the table's rows.

    `root` is the folder that holds data/, runs/ and submissions/. Runs that are done are not
    trained again unless `force` is true. At the end the table is also written to
    runs/baselines-<seeds>.md. Raises PipelineError.
    """
    rows = []
    for number, baseline in enumerate(systems, start=1):
        measurements = []
        for seed in range(seeds):
            report(f"baseline {number} of {len(systems)}: {baseline.recipe}, seed {seed}")
            recipe = recipes.load(baseline.recipe, seed=seed)
            request = Request(recipe=recipe, source=baseline.source, force=force)
            context = Context(root, request, report)
            measurements.append(_measure(context))
        rows.append(TutorialRow(baseline, measurements))
    path = root / "runs" / f"baselines-{seeds}.md"
    write_text(path, tutorials.as_markdown(rows))
    report(f"wrote {path}")
    return rows


def _measure(context: Context) -> Measurement:
    """Train and score the request's run, unless that is done, and return its figures."""
    if context.dataset.test_labels is None:
        outcome = submit(context)
        run, rows = outcome.run, SPEC.test_rows
        test_accuracy: float | None = reveal_run(context, run).score.hidden.share
        context.report(f"revealed the score of {run.id} on all hidden rows, as the ledger notes")
    else:
        run = ensemble(context)
        rows = len(context.dataset.test_labels)
        test_accuracy = run.record.scores.test_accuracy if run.record.scores else None
    scores, (member, *_) = run.record.scores, run.record.members
    assert scores is not None, "the stage `ensemble` has scored the run"
    assert test_accuracy is not None, "MNIST publishes its test labels"
    return Measurement(
        seed=run.training.seed,
        test_accuracy=test_accuracy,
        rows=rows,
        training_accuracy=training_accuracy(context, run),
        validation_accuracy=scores.validation_accuracy,
        parameters=member.parameters,
        epochs=member.epochs,
        seconds=member.seconds,
    )
