"""Pushes a run's kernel, once, after asking Kaggle whether it would run."""

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle import kernels
from pipeline.competitions.kaggle.calls import classify, failure, has_entered
from pipeline.competitions.kaggle.command import CommandResult
from pipeline.competitions.kaggle.journal import Journal
from pipeline.data.spec import SPEC
from pipeline.executors.kaggle import job
from pipeline.executors.kaggle.watching import GONE
from pipeline.runs import Kernel, Run, now

COMPLETE = "complete"
"""How a kernel ended that did what it was pushed for, or had to stop at its time limit."""
MARGIN = 600
"""Seconds that Kaggle lets a kernel run beyond our own limit, to predict and write its files."""
LONGEST_SESSION = 12 * 3600
"""Seconds after which Kaggle ends any kernel."""
LEAST_SECONDS = 300
"""Time limit below which no kernel is pushed: it would end before a network is trained."""
SETTLE_LIMIT, SETTLE_PAUSE = 60.0, 5.0  # seconds to look for a kernel whose push was cut off


def present_kernel(run: Run, report: Report, *, force: bool) -> Kernel | None:
    """Return the run's kernel that has not ended, or None if one is to be pushed.

    Raises PipelineError where the last one failed, unless `force` is set: another one would fail
    in the same way.
    """
    if not run.training.kernels:
        return None
    kernel = run.training.kernels[-1]
    if not kernel.version and not _arrived(run, kernel, report):
        del run.training.kernels[-1]
        run.save()
        return present_kernel(run, report, force=force)
    if kernel.ended == GONE and kernels.status(kernel.name).name != kernels.UNKNOWN:
        kernel.ended = ""  # Kaggle did not show it for a while
    if not kernel.ended:
        report(f"returning to the kernel {kernel.url}")
        return kernel
    if kernel.ended != COMPLETE and not force:
        raise failed(run, kernel)
    return None


def failed(run: Run, kernel: Kernel) -> PipelineError:
    """Return the error of a run whose last kernel failed."""
    return PipelineError(
        f"run {run.id}: its kernel {kernel.url} ended: {kernel.ended}; make train RUN={run.id} "
        "EXECUTOR=kaggle FORCE=1 pushes a new one"
    )


def push(run: Run, members: Sequence[int], report: Report, *, image: bool) -> Kernel:
    """Push a kernel for these members. It is in run.json before the request goes out.

    Raises PipelineError, and leaves nothing in run.json, if Kaggle would not run it.
    """
    recipe = run.training.recipe.members
    gpu = recipe.gpus != 0
    if not image:
        job.check_versions()
    _check_rules()
    seconds, used = min(recipe.hours * 3600, LONGEST_SESSION - MARGIN), None
    if gpu:
        seconds, used = _within_quota(seconds, report)
    kernel = Kernel(
        owner=kernels.owner(),
        slug=f"digits-{run.record.identity[:8]}-{secrets.token_hex(3)}",
        members=list(members),
        hours=seconds / 3600,
        image=image,
        pushed_at=now(),
        quota_used=used,
    )
    predict = len(members) == len(run.record.members)
    what = job.Job(kernel.slug, list(members), round(seconds), gpu, image, predict)
    with TemporaryDirectory() as folder:
        job.write(Path(folder), run, what, kernel.owner)
        run.training.kernels.append(kernel)
        run.save()
        report(f"pushing the kernel {kernel.name}")
        result = kernels.push(Path(folder), what.seconds + MARGIN, journal_of(run), kernel.slug)
    _confirm(run, kernel, result, report)
    report(f"Kaggle has the kernel: {kernel.url}")
    return kernel


def journal_of(run: Run) -> Journal:
    """Return the journal of the run's pushes."""
    return Journal(run.folder / "handed-to-kaggle")


def _check_rules() -> None:
    """Raise PipelineError if the rules are not accepted."""
    if has_entered() is False:
        raise PipelineError(
            f"the rules of {SPEC.slug} are not accepted yet, so a kernel would have no digits; "
            f"accept them at {SPEC.url}/rules (Join Competition), then run the same command again"
        )


def _within_quota(seconds: float, report: Report) -> tuple[float, float | None]:
    """Return the time limit, at most what is left of the quota, and the hours used this week.

    Raises PipelineError if too little GPU time is left.
    """
    with suppress(PipelineError):  # it only informs; Kaggle refuses a kernel too many
        running = kernels.running_kernels()
        if len(running) > 1:
            report(f"your kernels {' and '.join(running)} run now; Kaggle runs two with a GPU")
    quota = kernels.quota()
    if quota is None:
        return seconds, None
    left = quota.remaining * 3600 - MARGIN
    if left < LEAST_SECONDS:
        raise PipelineError(
            f"Kaggle has {quota.describe()}, too little for a kernel; wait for the next week, or "
            "use EXECUTOR=auto"
        )
    report(f"Kaggle: {quota.describe()}")
    if left < seconds:
        report(f"the kernel ends after {left / 3600:.1f} h, as no more is left")
    return min(seconds, left), quota.used


def _confirm(run: Run, kernel: Kernel, result: CommandResult, report: Report) -> None:
    """Note the version of a kernel that Kaggle has. Raises PipelineError if it has none.

    The command exits with 0 after a refused push, and may lose the answer to one that succeeded.
    """
    if refused := kernels.refusal(result):
        _forget(run, kernel)
        raise PipelineError(f"Kaggle refused the kernel: {refused.rstrip('.')}; {_advice(refused)}")
    kernel.version = kernels.version(result) or 0
    if not kernel.version and not _arrived(run, kernel, report):
        _forget(run, kernel)
        kind = classify(result)
        if kind:
            raise failure(result, kind, "pushing the kernel")
        raise PipelineError(
            "the kaggle command says neither that it pushed the kernel nor why not; run make setup "
            "for the locked version, then the same command again"
        )
    run.save()
    if rejected := kernels.rejected_sources(result):
        kernel.ended = f"Kaggle left out the {rejected}; accept the rules at {SPEC.url}/rules"
        run.save()
        kernels.delete(kernel.name)
        raise failed(run, kernel)


def _forget(run: Run, kernel: Kernel) -> None:
    """Remove a kernel that Kaggle does not have from the record and the journal."""
    journal_of(run).remove(kernel.slug)
    run.training.kernels.remove(kernel)
    run.save()


def _arrived(run: Run, kernel: Kernel, report: Report) -> bool:
    """Return whether Kaggle has a kernel whose push was cut off. If so, its version is noted.

    Raises PipelineError if that cannot be told.
    """
    journal = journal_of(run)
    journal.wait_for_sender(report)
    if kernel.slug not in journal and kernels.status(kernel.name).name == kernels.UNKNOWN:
        return False
    report(f"asking Kaggle whether it has {kernel.name}")
    deadline = time.monotonic() + SETTLE_LIMIT
    while (found := kernels.status(kernel.name)).name in (kernels.UNKNOWN, kernels.UNREADABLE):
        if time.monotonic() > deadline:
            if found.name == kernels.UNREADABLE:
                raise PipelineError(
                    f"whether Kaggle has the kernel {kernel.url} is not known: it does not answer; "
                    "run the same command again later"
                )
            if not kernels.is_listed(kernel.name):
                journal.remove(kernel.slug)
                return False
            break
        time.sleep(SETTLE_PAUSE)
    kernel.version = 1  # the slug is new, and pushed once
    run.save()
    return True


def _advice(refused: str) -> str:
    """Return what helps against a refused push."""
    if "session count" in refused:
        return (
            "wait until another kernel of yours has ended, or end one (make stop RUN=<id>), then "
            "run the same command again"
        )
    if "phone" in refused.lower() or "verif" in refused.lower():
        return "verify your phone number at https://www.kaggle.com/settings"
    return "mend that, then run the same command again"
