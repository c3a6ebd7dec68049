"""Waits until a run's kernel has ended, and shows its log as it grows."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.competitions.kaggle import kernels
from pipeline.competitions.kaggle.calls import CALL_LIMIT
from pipeline.competitions.kaggle.command import Following
from pipeline.executors.kaggle.machine import LAST_LINE
from pipeline.runs import Kernel, Run, now

_UPGRADE = "Warning: Looks like you're using an outdated `kaggle` version"
# The command prints this with --follow, in spite of -W.

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0  # seconds between two questions for the status
LONGEST_SILENCE = 1_800.0
"""Seconds without a readable status, after which a command gives up. The kernel goes on."""
GRACE = timedelta(minutes=30)
"""Time beyond a kernel's own limit after which its status is no longer believed."""
NEW = 60.0
"""Seconds in which Kaggle may not know a kernel yet that was just pushed."""
SETTLED = 120.0
"""Seconds after a kernel's last line, after which its status is no longer believed either."""


def wait(run: Run, kernel: Kernel, report: Report) -> None:
    """Return when the kernel has ended well, or has written all its files.

    Raises PipelineError if it failed, was cancelled or deleted, or if its status never arrives.
    """
    if kernel.ended:
        return
    with ExitStack() as stack:
        log = KernelLog(kernel.name, report, stack)
        status = _last_status(run, kernel, log, report)
    if status.name == "complete" or log.complete:
        return
    if status.name == kernels.UNKNOWN:
        kernel.ended = "it was deleted, by make stop or at Kaggle"
    else:
        reason = log.error or status.message or log.last
        kernel.ended = f"{status.name}{f' ({reason})' if reason else ''}"
    run.save()
    raise PipelineError(
        f"run {run.id}: its kernel {kernel.url} ended: {kernel.ended}; mend that, then FORCE=1 "
        "pushes a new one"
    )


def _last_status(run: Run, kernel: Kernel, log: "KernelLog", report: Report) -> kernels.Status:
    """Ask for the status until it is the last one, or cannot be believed any more."""
    pause, shown, readable = FIRST_PAUSE, "", time.monotonic()
    while True:
        status = kernels.status(kernel.name)
        if status.name == kernels.UNKNOWN and not shown and time.monotonic() - readable < NEW:
            status = kernels.Status(kernels.UNREADABLE)
        if status.name == kernels.UNREADABLE:
            pause = min(2 * pause, LONGEST_PAUSE)
            if time.monotonic() - readable > LONGEST_SILENCE:
                raise PipelineError(
                    f"Kaggle has not told the status of {kernel.url} for "
                    f"{LONGEST_SILENCE / 60:.0f} min{f' ({status.message})' * bool(status.message)}"
                    "; the kernel may still run: the same command returns to it"
                )
        else:
            readable = time.monotonic()
            pause = FIRST_PAUSE if status.name != shown else min(1.5 * pause, LONGEST_PAUSE)
        if status.name not in (shown, kernels.UNREADABLE):
            report(f"kernel {status.name}")
            shown = status.name
        if status.ended or status.name == kernels.UNKNOWN:
            log.follow_to_end()
            return status
        if status.name == "running":
            _check_time(run, kernel)
        if log.complete and time.monotonic() - log.completed_at > SETTLED:
            return status
        log.show(pause, following=status.name == "running")


def _check_time(run: Run, kernel: Kernel) -> None:
    """Note when the kernel began. Raises PipelineError if it should have ended long ago."""
    if not kernel.running_since:
        kernel.running_since = now()
        run.save()
    limit = timedelta(hours=kernel.hours) + GRACE
    if datetime.now(UTC) - datetime.fromisoformat(kernel.running_since) > limit:
        raise PipelineError(
            f"the kernel {kernel.url} is said to run since {kernel.running_since}, and its limit "
            f"(members.hours) is {kernel.hours:g} h; look there; make stop RUN={run.id} ends it"
        )


class KernelLog:
    """A kernel's log: shown as it grows, each line once.

    `error` is its last line that begins with "error: ", `last` its last line. `complete` says
    whether the kernel has written all its files, `completed_at` when that was seen.
    """

    def __init__(self, kernel: str, report: Report, stack: ExitStack) -> None:
        self._kernel, self._report, self._stack = kernel, report, stack
        self._following: Following | None = None
        self._shown, self._to_skip = 0, 0
        self.error, self.last = "", ""
        self.complete, self.completed_at = False, 0.0

    def show(self, seconds: float, *, following: bool) -> None:
        """Show new lines for so many seconds, or until the log ends."""
        if following and self._following is None and not self.complete:
            self._begin()
        if self._following is None:
            time.sleep(seconds)
            return
        started = time.monotonic()
        for line in self._following.lines(seconds):
            self._take(line)
        if self._following.ended:
            self._following = None
            if not self.complete:  # the connection was lost; the next time begins anew
                time.sleep(max(0.0, min(seconds, FIRST_PAUSE) - (time.monotonic() - started)))

    def follow_to_end(self) -> None:
        """Show the rest of the log of a kernel that has ended."""
        if self._following is None and not self.complete:
            self._begin()
        if self._following is not None:
            for line in self._following.lines(CALL_LIMIT):
                self._take(line)

    def _begin(self) -> None:
        self._following = self._stack.enter_context(Following(kernels.log_command(self._kernel)))
        self._to_skip = self._shown  # a log is shown from its beginning

    def _take(self, line: str) -> None:
        if self._to_skip:
            self._to_skip -= 1
            return
        self._shown += 1
        text = printable(line, 300)
        if not text or text.startswith(_UPGRADE):
            return
        self._report(text)
        self.last = text
        if text.startswith("error: "):
            self.error = text.removeprefix("error: ")
        if text == LAST_LINE:
            self.complete, self.completed_at = True, time.monotonic()
