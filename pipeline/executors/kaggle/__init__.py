"""The executor `kaggle`: the members of a run on GPUs of Kaggle's, in a private kernel.

A kernel is pushed once, watched until it ends, and its files are fetched and checked. All that a
command knows of it is in run.json. So a command that is killed at any moment costs nothing: the
next one returns to the same kernel. Only when a kernel has ended, and has left members to train,
does another command push another one.
"""

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle import kernels
from pipeline.executors.kaggle import output, pushing, watching
from pipeline.runs import Kernel, Run


def train_run(run: Run, report: Report, *, image: bool, force: bool) -> None:
    """Train the run's members that are not done on Kaggle's machines. Hold the run meanwhile.

    With `image`, the libraries are those of Kaggle's image. With `force`, a kernel is pushed even
    where the last one failed. Raises PipelineError, and KeyboardInterrupt on Ctrl-C, after which
    the kernel continues.
    """
    pending = [one.index for one in run.record.members if one.status != "done"]
    if not pending:
        return
    try:
        kernel = pushing.present_kernel(run, report, force=force)
        if kernel is None:
            kernel = pushing.push(run, pending, report, image=image)
        _bring_home(run, kernel, report)
    except KeyboardInterrupt:
        if run.training.kernels and not run.training.kernels[-1].ended:
            report(
                f"the kernel goes on: {run.training.kernels[-1].url}; the same command returns to "
                f"it, and make stop RUN={run.id} ends it"
            )
        raise
    _report_quota(kernel, report)


def _bring_home(run: Run, kernel: Kernel, report: Report) -> None:
    """Wait for the kernel's end, fetch what it has trained, and note how it ended.

    Raises PipelineError where it failed, after what it has trained is home.
    """
    end = watching.wait(run, kernel, report)
    failure = end.failure
    if failure != watching.GONE:
        try:
            failure = output.fetch(run, kernel, report)
        except output.NothingTrainedError as error:
            failure = failure or str(error)
        if failure and end.failure == watching.OVERDUE:  # it may run all the same
            raise PipelineError(watching.overdue(run, kernel))
    reason = f" ({end.error})" if failure and end.error else ""
    kernel.ended = f"{failure}{reason}" or pushing.COMPLETE
    run.save()
    if failure:
        raise pushing.failed(run, kernel)


def _report_quota(kernel: Kernel, report: Report) -> None:
    """Say how much GPU time the account has used since the push, where Kaggle tells."""
    try:
        quota = None if kernel.quota_used is None else kernels.quota()
    except PipelineError:
        return  # it only informs
    if quota:
        report(quota.since(kernel.quota_used))
