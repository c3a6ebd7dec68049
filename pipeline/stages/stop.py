"""The stage `stop`: ends the kernel at Kaggle that trains a run."""

from contextlib import suppress

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle import kernels
from pipeline.runs import Kernel, TrainingRecord
from pipeline.stages.context import Context

STOPPED = "make stop ended it"


def stop(context: Context) -> None:
    """Delete the kernel of the run that the request names. Its unfinished training is lost.

    Raises PipelineError if there is none.
    """
    runs = context.request.runs
    if len(runs) != 1:
        given = repr(" ".join(runs)) if runs else "left out"
        raise PipelineError(
            f"RUN is {given}; make stop ends the kernel of one run: give its id (make runs lists "
            "them)"
        )
    run = context.chosen_runs[0]
    kernel = _kernel_of(run.record if isinstance(run.record, TrainingRecord) else None)
    if kernel is None:
        raise PipelineError(f"run {run.id} has no kernel at Kaggle that may still run")
    kernels.delete(kernel.name)
    context.report(f"deleted {kernel.url}; what it had not sent home is lost")
    # A command that waits for the kernel holds the run, and notes the end itself.
    with suppress(PipelineError), run.held():
        if (known := _kernel_of(run.training)) is not None:
            known.ended = STOPPED
            run.save()
    quota = kernels.quota()
    if quota:
        used = "" if kernel.quota_used is None else f"used {quota.used - kernel.quota_used:.2f} h; "
        context.report(f"{used}{quota.describe()}")


def _kernel_of(record: TrainingRecord | None) -> Kernel | None:
    """Return the last kernel of a run, unless it has ended."""
    last = record.kernels[-1] if record and record.kernels else None
    return last if last and not last.ended else None
