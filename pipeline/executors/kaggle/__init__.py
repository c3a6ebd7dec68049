"""The executor `kaggle`: the members of a run on a GPU of Kaggle's, in one private kernel.

A kernel is pushed once per run, watched until it ends, and its files are fetched and checked. All
that a command knows of it is in run.json. So a command that is killed at any moment costs nothing:
the next one returns to the same kernel. Only when a kernel has ended, and has left members to
train, does another command push another one.
"""

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle import kernels
from pipeline.executors.kaggle import output, pushing, watching
from pipeline.runs import Run


def train_run(run: Run, report: Report, *, image: bool, force: bool) -> None:
    """Train the run's members that are not done on Kaggle's machines. Hold the run meanwhile.

    With `image`, the libraries are those of Kaggle's image. With `force`, a kernel is pushed even
    where the last one failed. Raises PipelineError, and KeyboardInterrupt on Ctrl-C, after which
    the kernel continues.
    """
    pending = [one.index for one in run.record.members if one.status != "done"]
    if not pending:
        return
    kernel = pushing.present_kernel(run, report, force=force)
    if kernel is None:
        kernel = pushing.push(run, pending, report, image=image)
    try:
        watching.wait(run, kernel, report)
        output.fetch(run, kernel, report)
    except KeyboardInterrupt:
        report(
            f"the kernel goes on: {kernel.url}; the same command returns to it, and make stop "
            f"RUN={run.id} ends it"
        )
        raise
    finally:
        run.save()
    _report_quota(kernel.quota_used, report)


def _report_quota(used_before: float | None, report: Report) -> None:
    """Say how much of the week's quota was used since, where Kaggle tells."""
    if used_before is None:
        return
    try:
        quota = kernels.quota()
    except PipelineError:
        return  # it only informs
    if quota:
        report(f"used {max(0.0, quota.used - used_before):.2f} h; {quota.describe()}")
