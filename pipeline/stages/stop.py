"""The stage `stop`: ends the kernel at Kaggle that trains a run."""

from contextlib import suppress

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle import kernels
from pipeline.runs import Kernel, Record, Run, TrainingRecord
from pipeline.stages.context import Context

STOPPED = "make stop deleted it"


def stop(context: Context) -> None:
    """Delete the kernel of the run that the request names. What it has trained is lost.

    A kernel that has ended by itself is deleted with `FORCE` only: its files can be fetched. Raises
    PipelineError if there is none to delete.
    """
    run = context.only_run("stop", "run with a kernel at Kaggle")
    kernel = kernel_of(run.record)
    if kernel is None:
        raise PipelineError(f"run {run.id} has no kernel that runs (make runs shows its state)")
    if not kernel.version and run.state() == "running":
        raise PipelineError(
            f"another command pushes the kernel of run {run.id} at this moment; run make stop "
            "again in a minute"
        )
    status = kernels.status(kernel.name)
    if status.name == "complete" and not context.request.force:
        raise PipelineError(
            f"the kernel {kernel.url} has ended, and its files are there: {run.continuation} "
            f"fetches them; make stop RUN={run.id} FORCE=1 deletes it all the same"
        )
    if status.name == kernels.UNKNOWN and not kernels.is_listed(kernel.name):
        context.report(f"{kernel.url} is not at Kaggle any more")
    else:
        kernels.delete(kernel.name)
        context.report(f"deleted {kernel.url}, with what it had trained")
    _note_end(run)
    with suppress(PipelineError):  # it only informs
        if quota := kernels.quota():
            context.report(quota.since(kernel.quota_used))


def _note_end(run: Run) -> None:
    """Write into the record that the kernel was deleted.

    A command that waits for the kernel holds the run, and notes the end itself.
    """
    with suppress(PipelineError), run.held():
        if (known := kernel_of(run.training)) is not None:
            known.ended = STOPPED
            run.save()


def kernel_of(record: Record) -> Kernel | None:
    """Return the last kernel of a run, unless it has ended."""
    last = record.kernels[-1] if isinstance(record, TrainingRecord) and record.kernels else None
    return last if last and not last.ended else None
