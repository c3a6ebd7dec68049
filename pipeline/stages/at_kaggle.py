"""What `train` does where members are trained in a kernel at Kaggle."""

from pipeline.common.errors import PipelineError, TimeLimitError
from pipeline.common.text import printable
from pipeline.executors import kaggle
from pipeline.executors.queue import failure_report
from pipeline.runs import Run, TrainingRecord
from pipeline.stages.context import Context
from pipeline.stages.request import in_kernel

IMAGE = {"libraries": "those of Kaggle's image"}
"""What stands for the versions in the identity of a run with KAGGLE_IMAGE=1."""


def check_source(context: Context) -> None:
    """Raise PipelineError unless the digits are those that Kaggle mounts for a kernel."""
    location = context.source.location
    if location != "kaggle":
        raise PipelineError(
            f"EXECUTOR is 'kaggle', which trains on the competition's own files at Kaggle, and "
            f"SOURCE is {printable(location)!r}; use SOURCE=kaggle, or another executor"
        )


def refuse_beside_kernel(run: Run) -> None:
    """Raise PipelineError where a kernel at Kaggle trains the run, or has and was not fetched."""
    kernels = run.training.kernels
    if kernels and not kernels[-1].ended:
        raise PipelineError(
            f"run {run.id} is trained by the kernel {kernels[-1].url}; {run.continuation} returns "
            f"to it, and make stop RUN={run.id} ends it"
        )


def is_same(recorded: TrainingRecord, record: TrainingRecord) -> bool:
    """Return whether two records are of the same training.

    In a kernel with the image's libraries, only the data count: its Python may write the same code
    as another tree.
    """
    if recorded.identity == record.identity:
        return True
    data = recorded.data_fingerprint, recorded.split_fingerprint
    same_data = data == (record.data_fingerprint, record.split_fingerprint)
    return in_kernel() and record.versions == IMAGE and same_data


def train(context: Context, run: Run) -> None:
    """Train the run's members in a kernel.

    Raises TimeLimitError if the kernel's limit stopped some of them, and other PipelineErrors.
    """
    request = context.request
    kaggle.train_run(run, context.report, image=request.kaggle_image, force=request.force)
    for line in failure_report(run):
        context.report(line)
    unfinished = [one for one in run.record.members if one.status not in ("done", "failed")]
    if unfinished:
        here = f", and make train RUN={run.id} continues them here" * (not request.kaggle_image)
        raise TimeLimitError(
            f"run {run.id}: at the kernel's time limit, {len(unfinished)} of "
            f"{len(run.record.members)} members were not done; the same command trains these at "
            f"Kaggle from their first epoch (members.hours is the limit){here}"
        )
