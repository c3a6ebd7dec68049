"""Waits until a run's kernel has ended, and shows its log as it grows."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.competitions.kaggle import kernels
from pipeline.competitions.kaggle.calls import CALL_LIMIT
from pipeline.competitions.kaggle.command import Following
from pipeline.executors.kaggle.machine import LAST_LINE
from pipeline.runs import Kernel, Run, now

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0  # seconds between two questions for the status
LONGEST_SILENCE = 1_800.0
"""Seconds without a readable status, after which a command gives up. The kernel goes on."""
LONGEST_ABSENCE = 120.0
"""Seconds for which Kaggle must not know a kernel, before it counts as deleted."""
GRACE = timedelta(minutes=30)
"""Time beyond a kernel's own limit after which its status is no longer believed."""
SETTLED = 120.0
"""Seconds after a kernel's last line, after which its status is no longer believed either."""

GONE = "it is not at Kaggle any more"
OVERDUE = "it is said to run, long after its time limit"


@dataclass(frozen=True)
class End:
    """How a kernel ended: why it failed, "" if it did not, and the last error in its log."""

    failure: str
    error: str


def wait(run: Run, kernel: Kernel, report: Report) -> End:
    """Return when the kernel has ended, or has written all its files.

    Raises PipelineError if its status never arrives, or if the credentials are refused.
    """
    with ExitStack() as stack:
        log = KernelLog(kernel.name, report, stack)
        status = _last_status(run, kernel, log, report)
        if status.name == "complete" or log.complete:
            return End("", log.error)
        return End(status.name, log.error or status.message)


def overdue(run: Run, kernel: Kernel) -> str:
    """Return what to say of a kernel that should have ended long ago, and has left no files."""
    return (
        f"the kernel {kernel.url} is said to run since {kernel.running_since}, and its limit "
        f"(members.hours) is {kernel.hours:g} h; look there; make stop RUN={run.id} deletes it"
    )


def _last_status(run: Run, kernel: Kernel, log: "KernelLog", report: Report) -> kernels.Status:
    """Ask for the status until it is the last one, or cannot be believed any more."""
    pause, shown = FIRST_PAUSE, ""
    readable = known = time.monotonic()
    while True:
        status = kernels.status(kernel.name)
        if status.name == kernels.UNREADABLE:
            if shown != status.name:
                report("Kaggle does not answer at present; asking again, the kernel goes on")
                shown = status.name
            pause = min(2 * pause, LONGEST_PAUSE)
            _check_silence(kernel, status, readable)
        else:
            pause = FIRST_PAUSE if status.name != shown else min(1.5 * pause, LONGEST_PAUSE)
            readable = time.monotonic()
        if status.name == kernels.UNKNOWN:
            if time.monotonic() - known > LONGEST_ABSENCE and not kernels.is_listed(kernel.name):
                return kernels.Status(GONE)
        elif status.name != kernels.UNREADABLE:
            known = time.monotonic()
            if status.name != shown:
                report(f"kernel {status.name}")
                shown = status.name
        if status.ended:
            log.follow_to_end()
            return status
        if status.name == "running" and _is_overdue(run, kernel):
            log.follow_to_end()
            return kernels.Status(OVERDUE)
        if log.complete and time.monotonic() - log.completed_at > SETTLED:
            return status
        log.show(pause, following=status.name == "running")


def _check_silence(kernel: Kernel, status: kernels.Status, since: float) -> None:
    """Raise PipelineError if the status could not be read for too long."""
    if time.monotonic() - since > LONGEST_SILENCE:
        raise PipelineError(
            f"Kaggle has not told the status of {kernel.url} for {LONGEST_SILENCE / 60:.0f} min"
            f"{f' ({status.message})' * bool(status.message)}; the kernel may still run: the same "
            "command returns to it"
        )


def _is_overdue(run: Run, kernel: Kernel) -> bool:
    """Return whether a kernel should have ended long ago. Note when it was first seen running."""
    if not kernel.running_since:
        kernel.running_since = now()
        run.save()
    limit = timedelta(hours=kernel.hours) + GRACE
    return datetime.now(UTC) - datetime.fromisoformat(kernel.running_since) > limit


class KernelLog:
    """A kernel's log: shown as it grows, each line once.

    `error` is its last line that begins with "error: ". `complete` says whether the kernel has
    written all its files, `completed_at` when that was seen.
    """

    def __init__(self, kernel: str, report: Report, stack: ExitStack) -> None:
        self._kernel, self._report, self._stack = kernel, report, stack
        self._following: Following | None = None
        self._shown, self._to_skip = 0, 0
        self.error = ""
        self.complete, self.completed_at = False, 0.0

    def show(self, seconds: float, *, following: bool) -> None:
        """Show new lines for so many seconds, or until the log ends."""
        if following and self._following is None and not self.complete:
            self._begin()
        started, before = time.monotonic(), self._shown
        if self._following is not None:
            self._take_lines(seconds)
        if self._following is not None or self.complete or self._shown > before:
            seconds = min(seconds, FIRST_PAUSE)  # something came: ask for the status soon
        time.sleep(max(0.0, seconds - (time.monotonic() - started)))

    def follow_to_end(self) -> None:
        """Show the rest of the log of a kernel that has ended."""
        if self._following is None and not self.complete:
            self._begin()
        if self._following is not None:
            self._take_lines(CALL_LIMIT)

    def _begin(self) -> None:
        self._following = self._stack.enter_context(Following(kernels.log_command(self._kernel)))
        self._to_skip = self._shown  # a log is shown from its beginning

    def _take_lines(self, seconds: float) -> None:
        assert self._following
        for line in self._following.lines(seconds):
            self._take(line)
        if self._following.ended:
            self._following = None
            self._stack.close()  # another connection has a process and pipes of its own

    def _take(self, line: str) -> None:
        if self._to_skip:
            self._to_skip -= 1
            return
        self._shown += 1
        text = printable(line, 300)
        if not text or text.startswith(_UPGRADE):
            return
        self._report(f"| {text}")
        if text.startswith("error: "):
            self.error = text.removeprefix("error: ")
        if text == LAST_LINE:
            self.complete, self.completed_at = True, time.monotonic()


_UPGRADE = "Warning: Looks like you're using an outdated `kaggle` version"
# The command prints this with --follow, in spite of -W.
