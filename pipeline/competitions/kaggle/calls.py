"""Calls of the kaggle command, and why one failed, in one line that says what to do.

The command drops the reason that Kaggle gives and keeps only the HTTP status, so the reason is
worked out from the status and the call. The command's own text is never shown whole, because it
can contain an upload address with a session token.
"""

import json
import re
import signal
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.competitions.kaggle import credentials
from pipeline.competitions.kaggle.command import CommandResult, run_kaggle
from pipeline.data.spec import SPEC

CALL_LIMIT = 60.0
"""Seconds after which a call is stopped that neither downloads nor uploads."""

_RETRY = "run the same command again"


class FailureKind(Enum):
    """What went wrong, with the message for it. `failure` fills in what stands in braces."""

    CREDENTIALS = (
        f"Kaggle refused {{credentials}}; make a new one at {credentials.SETTINGS_URL} and put it "
        "there; a token is used before a key, so a bad token must be replaced or removed even if "
        "the key is good"
    )
    FORBIDDEN = "Kaggle does not allow it (403 while {doing}){reason}"
    NOT_FOUND = (
        "Kaggle has no competition or file of that name (404 while {doing}); check whether "
        f"{SPEC.url} opens in a browser; if so, run `make setup` and {_RETRY}"
    )
    TOO_MANY = (
        f"Kaggle got too many requests (429 while {{doing}}); wait some minutes, then {_RETRY}"
    )
    BAD_REQUEST = (
        "Kaggle refused the request (400 while {doing}); see "
        f"{SPEC.url} for what it accepts at present"
    )
    REFUSED_SUBMISSION = "Kaggle refused the submission (400){reason}"
    REFUSED_UPLOAD = (
        f"Kaggle's storage refused the file while {{doing}}, so nothing was submitted; {_RETRY}"
    )
    SERVER = (
        f"Kaggle's server failed ({{status}} while {{doing}}); wait some minutes, then {_RETRY}"
    )
    NETWORK = (
        "Kaggle cannot be reached while {doing}: {network}; check the network and the proxy "
        f"(HTTPS_PROXY), then {_RETRY}"
    )
    TOO_LONG = (
        "Kaggle did not finish within {limit:g} s while {doing}; the kaggle command was stopped; "
        f"check the network, then {_RETRY}"
    )
    KILLED = (
        "the kaggle command was killed by {signal} while {doing}, by a person or for lack of "
        f"memory; {_RETRY}"
    )
    HOME = (
        "{folder}: the kaggle command cannot make its settings folder there; set "
        "KAGGLE_CONFIG_DIR to a folder that you can write to"
    )
    DISK = (
        "the disk is full, or a limit to it is reached (a quota, ulimit -f), while {doing}; free "
        f"300 MB or raise the limit, then {_RETRY}"
    )
    OTHER = (
        "the kaggle command failed while {doing}: {last_line}; "
        f"{_RETRY}, and if it fails again run `make doctor`"
    )


REFUSALS = (
    *(FailureKind.CREDENTIALS, FailureKind.FORBIDDEN, FailureKind.NOT_FOUND, FailureKind.TOO_MANY),
    *(FailureKind.BAD_REQUEST, FailureKind.REFUSED_SUBMISSION, FailureKind.REFUSED_UPLOAD),
)
"""Kaggle's own answer: it has not taken a submission. After any other failure it may have."""

# What the text of a failed call contains; the first match counts.
_MARKS = {
    r"os\.makedirs\(config_dir\)": FailureKind.HOME,
    r"No space left on device|Disk quota exceeded|File too large": FailureKind.DISK,
    r"Authentication required|\b401 Client Error": FailureKind.CREDENTIALS,
    r"\b400 Client Error.*CreateSubmission": FailureKind.REFUSED_SUBMISSION,
    r"\b400 Client Error": FailureKind.BAD_REQUEST,
    r"\b403 Client Error": FailureKind.FORBIDDEN,
    r"\b404 Client Error": FailureKind.NOT_FOUND,
    r"\b429 Client Error": FailureKind.TOO_MANY,
    r"\b4\d\d Client Error": FailureKind.OTHER,
    r"\b5\d\d Server Error": FailureKind.SERVER,
}

# What requests and urllib3 call failures below HTTP, in words; the first match is reported.
_NETWORK = {
    r"NameResolutionError|Name or service not known|getaddrinfo": "a host name was not found",
    r"SSLError|CERTIFICATE_VERIFY_FAILED": "the certificate check failed",
    r"Connection refused": "the connection was refused",
    r"Tunnel connection failed|ProxyError": "the proxy refused the request",
    r"Network is unreachable|No route to host": "the network is unreachable",
    r"Read timed out|ConnectTimeout|ReadTimeout": "there was no answer in time",
    r"ConnectionError|Connection aborted|RemoteDisconnected|Max retries exceeded"
    r"|IncompleteRead|Download failed after": "the connection broke",
}
_ADDRESS = re.compile(r"\b\w++://\S+|\burl: \S+")  # \b and ++ keep it linear in long words
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\b.*")


def call(
    arguments: Sequence[str],
    doing: str,
    time_limit: float = CALL_LIMIT,
    on_beat: Callable[[float], None] = lambda seconds: None,
) -> CommandResult:
    """Run the kaggle command and return its result. Raises PipelineError if it failed.

    `doing` says for the error message what the call is for, as in "downloading the data". The
    other arguments are those of `run_kaggle`. Without credentials, the command is not run.
    """
    credentials.require_credentials()
    result = run_kaggle(arguments, time_limit=time_limit, on_beat=on_beat)
    kind = classify(result)
    if kind is not None:
        raise failure(result, kind, doing)
    return result


def classify(result: CommandResult) -> FailureKind | None:
    """Return what went wrong in a call, or None if nothing shows a failure."""
    if result.code is None:
        return FailureKind.TOO_LONG
    if result.code < 0:
        return FailureKind.KILLED
    if result.code == 0:
        # What the command prints if the storage refused the file; its exit code is then 0.
        refused = result.stdout.rstrip().endswith("Could not submit to competition")
        return FailureKind.REFUSED_UPLOAD if refused else None
    for mark, kind in _MARKS.items():
        if re.search(mark, result.text):
            return kind
    return FailureKind.NETWORK if _network_reason(result) else FailureKind.OTHER


def failure(result: CommandResult, kind: FailureKind, doing: str) -> PipelineError:
    """Return the error of a failed call. For a 403 and a refused submission, asks Kaggle why."""
    reason = ""
    if kind is FailureKind.FORBIDDEN:
        reason = _why_forbidden()
    elif kind is FailureKind.REFUSED_SUBMISSION:
        reason = _why_refused()
    status = re.search(r"\b(5\d\d) Server Error", result.text)
    message = kind.value.format(
        doing=doing,
        reason=reason,
        credentials=credentials.find_credentials(),
        status=status[1] if status else "no status",
        network=_network_reason(result),
        limit=result.time_limit,
        signal=_signal(result),
        folder=printable(credentials.config_folder()),
        last_line=_last_line(result),
    )
    return PipelineError(message)


def has_entered() -> bool | None:
    """Return whether the person has joined the competition, None where Kaggle does not say."""
    options = ["--search", SPEC.slug, "--format", "json(ref,userHasEntered)"]
    entered = [
        row.get("userHasEntered")
        for row in _query(["competitions", "list", *options], "[") or []
        if isinstance(row, dict) and str(row.get("ref")).rsplit("/", 1)[-1] == SPEC.slug
    ]
    return bool(entered[0]) if entered else None


def _why_forbidden() -> str:
    """Return what a 403 means, by whether the person has joined the competition."""
    entered = has_entered()
    rules = f"accept the rules at {SPEC.url}/rules (Join Competition), then {_RETRY}"
    settings = credentials.SETTINGS_URL
    account = f"check at {settings} that your phone is verified and the token may do this"
    if entered is None:
        return f"; {rules}; if you have, {account}"
    if entered:
        return f", though you have joined; {account}"
    return f": the rules of {SPEC.slug} are not accepted yet; {rules}"


def _why_refused() -> str:
    """Return what a refused submission means, by how many more Kaggle accepts today."""
    limits = _query(["competitions", "submission-limits", SPEC.slug, "--json"], "{")
    later = f"wait until 00:00 UTC, then {_RETRY}"
    if limits is None:
        return f"; most likely the daily limit is reached: {later}"
    # The command leaves out numbers that are 0.
    left, today = (limits.get(name, 0) for name in ("numAllowedNow", "numToday"))
    if not (isinstance(left, int) and isinstance(today, int)):
        return f"; see {SPEC.url}/submissions for how many more it accepts today"
    if left > 0:
        return (
            f", though {left} more are allowed today; see {SPEC.url}/submissions for the reason "
            "and check the CSV with `make submission`"
        )
    return f": the daily limit of submissions is reached ({today} today, 0 left); {later}"


def _query(arguments: Sequence[str], opening: str) -> Any:
    """Return the JSON that a call prints, None if it fails.

    Its answer only makes an error message clearer.
    """
    return _json_in(run_kaggle(arguments, time_limit=CALL_LIMIT), opening)


def rows_of(result: CommandResult) -> list[dict[str, object]]:
    """Return the objects of the JSON list that a call has printed; none if it printed none."""
    return [row for row in _json_in(result, "[") or [] if isinstance(row, dict)]


def _json_in(result: CommandResult, opening: str) -> Any:
    """Return the JSON in an output, from the first line that begins with `opening`, or None."""
    lines = result.stdout.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(opening)]
    try:
        return json.loads("\n".join(lines[starts[0] :])) if starts else None
    except (ValueError, RecursionError):
        return None


def _network_reason(result: CommandResult) -> str | None:
    return next((words for mark, words in _NETWORK.items() if re.search(mark, result.text)), None)


def _signal(result: CommandResult) -> str:
    """Return the name of the signal that ended the command, or its number."""
    number = -(result.code or 0)
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _last_line(result: CommandResult) -> str:
    """Return the last line that the command printed, without any address or token in it."""
    lines = [line.strip() for line in result.text.splitlines() if line.strip()]
    if not lines:
        return "it printed nothing"
    # The marks may stand anywhere, so the text is cut only after they were replaced.
    return printable(_AUTHORIZATION.sub(r"\1 <token>", _ADDRESS.sub("<address>", lines[-1])), 200)
