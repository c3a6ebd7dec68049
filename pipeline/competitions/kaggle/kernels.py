"""Kernels: programs on Kaggle's machines, which the kaggle command pushes, watches and deletes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.competitions.kaggle.calls import (
    CALL_LIMIT,
    FailureKind,
    call,
    classify,
    failure,
    rows_of,
)
from pipeline.competitions.kaggle.command import CommandResult, run_kaggle
from pipeline.competitions.kaggle.credentials import require_credentials
from pipeline.competitions.kaggle.journal import Journal

UNKNOWN, UNREADABLE = "unknown", "unreadable"
"""Statuses beside Kaggle's own: Kaggle has no such kernel or refuses to show it; no answer could be
read. The command prints the same for a kernel that is not there and for refused credentials."""
RUNNING = ("new_script", "queued", "running", "cancel_requested")
"""Kaggle's statuses of a kernel that has not ended (kagglesdk 0.1.37, `KernelWorkerStatus`)."""

OUTPUT_LIMIT = 1_800.0
"""Seconds for the download of a kernel's output files."""
LONGEST_SESSION = timedelta(hours=12)

_TRANSIENT = (
    *(FailureKind.TOO_MANY, FailureKind.SERVER, FailureKind.NETWORK, FailureKind.TOO_LONG),
    *(FailureKind.KILLED, FailureKind.OTHER),
)
# What the command prints for a kernel that is not there, or not yours.
_NOT_THERE = re.compile(r"Cannot access kernel|\b40[34] Client Error")


_NO_LIST = str.maketrans("", "", "[]'")


@dataclass(frozen=True)
class Status:
    """A kernel's status in lower case, and the message of one that failed."""

    name: str
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether the kernel has ended, in whatever way."""
        return self.name not in (*RUNNING, UNKNOWN, UNREADABLE)


@dataclass(frozen=True)
class Quota:
    """Hours of GPU time in this week, and when the next week begins, in Kaggle's words."""

    used: float
    remaining: float
    total: float
    refresh: str

    def describe(self) -> str:
        """Return the quota as the end of a sentence."""
        until = f" until {self.refresh}" if self.refresh else ""
        return f"{self.remaining:.1f} h of {self.total:.0f} h of GPU time left{until}"

    def since(self, used_before: float | None) -> str:
        """Return the account's use since `used_before` hours were used, and what is left."""
        used = None if used_before is None else self.used - used_before
        known = used is not None and used >= 0  # a new week begins at 0
        return f"{f'the account used {used:.2f} h since; ' * known}{self.describe()}"


def owner() -> str:
    """Return the user name of the credentials. Raises PipelineError."""
    printed = call(["config", "view"], "asking for your user name").stdout
    match = re.search(r"^- username: ([A-Za-z0-9_-]+)$", printed, re.MULTILINE)
    if match is None or match[1] == "None":
        raise PipelineError(
            "the kaggle command does not know your user name; make a new API token at "
            "https://www.kaggle.com/settings, or set KAGGLE_USERNAME"
        )
    return match[1]


def push(folder: Path, seconds: int, journal: Journal, slug: str) -> CommandResult:
    """Push the kernel that `folder` holds, to end after `seconds`. Return what was printed.

    `slug` is noted in the journal before the request goes out. The exit code proves nothing: read
    the text with `refusal` and `version`, and ask for the status.
    """
    require_credentials()
    return run_kaggle(
        ["kernels", "push", f"--path={folder}", f"--timeout={seconds}"],
        time_limit=2 * CALL_LIMIT,
        hands_over=(journal.path, slug),
    )


def refusal(result: CommandResult) -> str | None:
    """Return why a push was refused, in Kaggle's words, or None if nothing shows that it was."""
    match = re.search(r"^Kernel push error: (.*)$", result.stdout, re.MULTILINE)
    return printable(match[1], 300) if match else None


def rejected_sources(result: CommandResult) -> str | None:
    """Return which sources Kaggle left out of a kernel that it has pushed anyway, if any."""
    match = re.search(
        r"^The following are not valid (\w+) sources and could not\s+be added to the kernel: (.*)$",
        result.stdout,
        re.MULTILINE,
    )
    return printable(f"{match[1]} {match[2].translate(_NO_LIST)}", 200) if match else None


def version(result: CommandResult) -> int | None:
    """Return the version that a push has made, None if it says none."""
    match = re.search(r"^Kernel version (\d+) successfully pushed", result.stdout, re.MULTILINE)
    return int(match[1]) if match else None


def status(kernel: str) -> Status:
    """Return the status of "<owner>/<slug>". Raises PipelineError if the credentials are refused.

    What may be over a moment later is `UNREADABLE`: too many requests, a failing server, no
    network, or a text that is no status.
    """
    require_credentials()
    result = run_kaggle(["kernels", "status", kernel], time_limit=CALL_LIMIT)
    match = re.search(rf'^{re.escape(kernel)} has status "(\w+\.)?(\w+)"', result.stdout, re.M)
    if match:
        message = re.search(r'^Failure message: "(.*)"', result.stdout, re.MULTILINE | re.DOTALL)
        return Status(match[2].lower(), printable(message[1], 300) if message else "")
    if _NOT_THERE.search(result.text):
        return Status(UNKNOWN)
    kind = classify(result)
    if kind in (None, *_TRANSIENT):
        return Status(UNREADABLE, "" if kind is None else str(failure(result, kind, _ASKING)))
    raise failure(result, kind, _ASKING)


_ASKING = "asking for the kernel's status"


def fetch_output(kernel: str, folder: Path, pattern: str) -> None:
    """Download the output files whose whole names match `pattern` into the empty `folder`.

    Other names are not downloaded: the command would write "../x" outside of the folder. Raises
    PipelineError.
    """
    arguments = ["kernels", "output", kernel, f"--path={folder}", "--force", "--quiet"]
    arguments += [f"--file-pattern=^(?:{pattern})$", "--page-size=100"]
    call(arguments, "downloading the kernel's output", OUTPUT_LIMIT)


def is_listed(kernel: str) -> bool:
    """Return whether Kaggle lists "<owner>/<slug>" among the person's own kernels.

    Raises PipelineError if the list cannot be read, or if the credentials are another account's.
    """
    account, slug = kernel.split("/")
    if (own := owner()) != account:
        raise PipelineError(
            f"the kernel {kernel} is {account}'s, and the credentials are {own}'s; use those of "
            f"{account}"
        )
    options = ["--mine", "--search", slug, "--page-size", "20", "--format", "json"]
    rows = rows_of(call(["kernels", "list", *options], "listing your kernels"))
    return any(str(row.get("ref")).endswith(kernel) for row in rows)


def delete(kernel: str) -> None:
    """Delete a kernel, which ends its session. Raises PipelineError."""
    call(["kernels", "delete", kernel, "--yes"], f"deleting {kernel}")


def quota() -> Quota | None:
    """Return this week's GPU quota, None where Kaggle states none. Raises PipelineError."""
    for row in rows_of(call(["quota", "--format", "json"], "asking for the quota")):
        if row.get("resource") == "GPU":
            hours = [_hours(row.get(name)) for name in ("used", "remaining", "total")]
            if None not in hours:
                used, remaining, total = (float(one or 0) for one in hours)
                return Quota(used, remaining, total, _day(row.get("refreshAt")))
    return None


def running_kernels() -> list[str]:
    """Return the names of the person's kernels that run now. Raises PipelineError."""
    options = ["--mine", "--sort-by", "dateRun", "--page-size", "5", "--format", "json"]
    recent = [
        str(row.get("ref"))
        for row in rows_of(call(["kernels", "list", *options], "listing your kernels"))
        if _is_recent(str(row.get("lastRunTime")))
    ]
    return [name for name in recent if status(name).name in RUNNING]


def _hours(text: object) -> float | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)h", str(text))
    return float(match[1]) if match else None


def _day(text: object) -> str:
    """Return a time of the quota as "2026-11-28", empty if it is none."""
    match = re.match(r"\d{4}-\d\d-\d\d", str(text))
    return match[0] if match else ""


def _is_recent(text: str) -> bool:
    """Return whether a time of the list lies within the longest session."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return True
    return datetime.now(UTC) - moment.replace(tzinfo=moment.tzinfo or UTC) < LONGEST_SESSION


def log_command(kernel: str) -> Sequence[str]:
    """Return the arguments with which the kaggle command prints a kernel's log as it grows."""
    return ["kernels", "logs", kernel, "--follow"]
