"""Pushes a run's kernel, once, after asking Kaggle whether it would run."""

import secrets
import time
from collections.abc import Sequence
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
from pipeline.runs import Kernel, Run, now

LEAST_HOURS = 0.1
"""GPU time without which no kernel is pushed: it would end before the first network is trained."""
SETTLE_LIMIT, SETTLE_PAUSE = 60.0, 5.0  # seconds to look for a kernel whose push was cut off
MARGIN = 600
"""Seconds that Kaggle lets a kernel run beyond our own limit, to install and to write its files."""


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
        return None
    if not kernel.ended:
        report(f"returning to the kernel {kernel.url}")
        return kernel
    if kernel.ended != "complete" and not force:
        raise PipelineError(
            f"run {run.id}: its kernel {kernel.url} ended: {kernel.ended}; mend that, then FORCE=1 "
            "pushes a new one"
        )
    return None


def push(run: Run, members: Sequence[int], report: Report, *, image: bool) -> Kernel:
    """Push a kernel for these members. It is in run.json before this function returns.

    Raises PipelineError, and leaves nothing in run.json, if Kaggle would not run it.
    """
    gpu = run.training.recipe.members.gpus != 0
    hours, used = _check_ready(run, report) if gpu else (run.training.recipe.members.hours, None)
    slug = f"digits-{run.record.identity[:8]}-{secrets.token_hex(3)}"
    kernel = Kernel(
        owner=kernels.owner(),
        slug=slug,
        members=list(members),
        hours=hours,
        pushed_at=now(),
        quota_used=used,
    )
    run.training.kernels.append(kernel)
    run.save()
    predict = len(members) == len(run.record.members)
    what = job.Job(slug, list(members), round(hours * 3600), gpu, image, predict)
    try:
        with TemporaryDirectory() as folder:
            job.write(Path(folder), run, what, kernel.owner)
            report(f"pushing the kernel {kernel.name}")
            result = kernels.push(Path(folder), what.seconds + MARGIN, journal_of(run), slug)
        _confirm(run, kernel, result, report)
    except PipelineError:
        if not kernel.version and slug not in journal_of(run):
            run.training.kernels.remove(kernel)
            run.save()
        raise
    report(f"Kaggle has the kernel: {kernel.url}")
    return kernel


def journal_of(run: Run) -> Journal:
    """Return the journal of the run's pushes."""
    return Journal(run.folder / "handed-to-kaggle")


def _check_ready(run: Run, report: Report) -> tuple[float, float | None]:
    """Return for how many hours a kernel may run, and how many were used this week.

    Raises PipelineError if the rules are not accepted, or if no GPU time is left.
    """
    if has_entered() is False:
        raise PipelineError(
            f"the rules of {SPEC.slug} are not accepted yet, so a kernel would have no digits; "
            f"accept them at {SPEC.url}/rules (Join Competition), then run the same command again"
        )
    hours, quota = run.training.recipe.members.hours, kernels.quota()
    running = kernels.running_kernels()
    if len(running) > 1:
        report(
            f"kernels of yours that run now: {', '.join(running)}; Kaggle runs two with a GPU at a "
            "time"
        )
    if quota is None:
        return hours, None
    if quota.remaining < LEAST_HOURS:
        raise PipelineError(
            f"Kaggle has {quota.describe()}, too little for a kernel; wait for the next week, or "
            "use EXECUTOR=auto"
        )
    report(f"Kaggle: {quota.describe()}")
    if quota.remaining < hours:
        report(f"the kernel ends after {quota.remaining:.1f} h, as no more is left")
    return min(hours, quota.remaining), quota.used


def _confirm(run: Run, kernel: Kernel, result: CommandResult, report: Report) -> None:
    """Note the version of a kernel that Kaggle has. Raises PipelineError if it has none.

    The command exits with 0 after a refused push, and may lose the answer to one that succeeded.
    """
    journal = journal_of(run)
    if refused := kernels.refusal(result):
        journal.remove(kernel.slug)
        raise PipelineError(f"Kaggle refused the kernel: {refused}; {_advice(refused)}")
    kernel.version = kernels.version(result) or 0
    if not kernel.version and not _arrived(run, kernel, report):
        kind = classify(result)
        if kind:
            raise failure(result, kind, "pushing the kernel")
        raise PipelineError(
            "the kaggle command says neither that it pushed the kernel nor why not; run make setup "
            "for the locked version, then the same command again"
        )
    run.save()
    if rejected := kernels.rejected_sources(result):
        kernels.delete(kernel.name)
        kernel.ended = f"Kaggle left out the {rejected}"
        run.save()
        raise PipelineError(
            f"Kaggle left the {rejected} out of the kernel, which was deleted; accept the rules at "
            f"{SPEC.url}/rules, then the same command with FORCE=1"
        )


def _arrived(run: Run, kernel: Kernel, report: Report) -> bool:
    """Return whether Kaggle has a kernel whose push was cut off. If so, its version is noted."""
    journal = journal_of(run)
    journal.wait_for_sender(report)
    if kernel.slug not in journal:
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
            journal.remove(kernel.slug)
            return False
        time.sleep(SETTLE_PAUSE)
    kernel.version = 1  # the slug is new, and pushed once
    run.save()
    return True


def _advice(refused: str) -> str:
    """Return what helps against a refused push."""
    if "session count" in refused:
        return (
            "wait until another kernel of yours has ended, or end one, then run the command again"
        )
    if "phone" in refused.lower() or "verif" in refused.lower():
        return "verify your phone number at https://www.kaggle.com/settings"
    return "mend that, then run the same command again"
