"""Why a call of the kaggle command failed, in one line that says what to do.

The command drops the reason that Kaggle gives and keeps only the HTTP status, so the reason is
worked out from the status and the call. The command's own text is never shown whole, because it
can contain an upload address with a session token.
"""

import re
from enum import Enum, auto

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle.command import CommandResult
from pipeline.competitions.kaggle.credentials import SETTINGS_URL, config_folder, find_credentials
from pipeline.data.spec import SPEC


class FailureKind(Enum):
    """What went wrong."""

    CREDENTIALS = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    TOO_MANY = auto()
    BAD_REQUEST = auto()
    REFUSED_UPLOAD = auto()
    SERVER = auto()
    NETWORK = auto()
    TOO_LONG = auto()
    HOME = auto()
    DISK = auto()
    OTHER = auto()


# After one of these, Kaggle may or may not have taken a submission: the answer was lost.
UNDECIDED = frozenset(
    {FailureKind.SERVER, FailureKind.NETWORK, FailureKind.TOO_LONG, FailureKind.OTHER}
)

_STATUS = re.compile(r"\b([45]\d\d) (?:Client|Server) Error")
_BY_STATUS = {
    "400": FailureKind.BAD_REQUEST,
    "401": FailureKind.CREDENTIALS,
    "403": FailureKind.FORBIDDEN,
    "404": FailureKind.NOT_FOUND,
    "429": FailureKind.TOO_MANY,
}

# What requests and urllib3 call failures below HTTP, in words; the first match is reported.
_NETWORK = (
    (r"NameResolutionError|Name or service not known|getaddrinfo", "a host name was not found"),
    (r"SSLError|CERTIFICATE_VERIFY_FAILED", "the certificate check failed"),
    (r"Connection refused", "the connection was refused"),
    (r"Tunnel connection failed|ProxyError", "the proxy refused the request"),
    (r"Network is unreachable|No route to host", "the network is unreachable"),
    (r"Read timed out|ConnectTimeout|ReadTimeout", "there was no answer in time"),
    (
        r"ConnectionError|Connection aborted|RemoteDisconnected|Max retries exceeded"
        r"|IncompleteRead|Download failed after",
        "the connection broke",
    ),
)
_ADDRESS = re.compile(r"\w+://\S+|\burl: \S+")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\b.*")


class KaggleError(PipelineError):
    """A failed call of the kaggle command, with its kind."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def classify(result: CommandResult) -> FailureKind | None:
    """Return what went wrong in a call, or None if nothing shows a failure."""
    if result.code is None:
        return FailureKind.TOO_LONG
    if result.code == 0:
        # What the command prints if the storage refused the file; its exit code is then 0.
        refused = result.stdout.rstrip().endswith("Could not submit to competition")
        return FailureKind.REFUSED_UPLOAD if refused else None
    if "os.makedirs(config_dir)" in result.stderr:
        return FailureKind.HOME
    if "No space left on device" in result.text:
        return FailureKind.DISK
    if "Authentication required" in result.stdout:
        return FailureKind.CREDENTIALS
    status = _STATUS.search(result.text)
    if status is not None:
        other = FailureKind.SERVER if status[1].startswith("5") else FailureKind.OTHER
        return _BY_STATUS.get(status[1], other)
    return FailureKind.NETWORK if _network_reason(result) else FailureKind.OTHER


_RETRY = "run the same command again"
_MESSAGES = {
    FailureKind.NOT_FOUND: (
        "Kaggle has no competition or file of that name (404 while {doing}); check whether "
        f"{SPEC.url} opens in a browser; if so, run `make setup` and {_RETRY}"
    ),
    FailureKind.TOO_MANY: (
        f"Kaggle got too many requests (429 while {{doing}}); wait some minutes, then {_RETRY}"
    ),
    FailureKind.BAD_REQUEST: (
        "Kaggle refused the request (400 while {doing}); see "
        f"{SPEC.url} for what it accepts at present"
    ),
    FailureKind.REFUSED_UPLOAD: (
        f"Kaggle's storage refused the file while {{doing}}, so nothing was submitted; {_RETRY}"
    ),
    FailureKind.SERVER: (
        f"Kaggle's server failed ({{status}} while {{doing}}); wait some minutes, then {_RETRY}"
    ),
    FailureKind.NETWORK: (
        "Kaggle cannot be reached while {doing}: {reason}; check the network and the proxy "
        f"(HTTPS_PROXY), then {_RETRY}"
    ),
    FailureKind.TOO_LONG: (
        "Kaggle did not finish within {limit:g} s while {doing}; the kaggle command was stopped; "
        f"check the network, then {_RETRY}"
    ),
    FailureKind.HOME: (
        "{folder}: the kaggle command cannot make its settings folder there; set "
        "KAGGLE_CONFIG_DIR to a folder that you can write to"
    ),
    FailureKind.DISK: f"the disk is full while {{doing}}; free 300 MB, then {_RETRY}",
    FailureKind.OTHER: (
        "the kaggle command failed while {doing}: {last_line}; "
        f"{_RETRY}, and if it fails again run `make doctor`"
    ),
}


def explain(result: CommandResult, kind: FailureKind, doing: str) -> KaggleError:
    """Return the error of a failed call.

    `doing` says what the call was for, as in "downloading the data". For 400 and 403 the caller
    can find out more: see `daily_limit` and `forbidden`.
    """
    if kind is FailureKind.CREDENTIALS:
        return KaggleError(kind, sign_in_message())
    if kind is FailureKind.FORBIDDEN:
        return KaggleError(kind, forbidden(None, doing))
    status = _STATUS.search(result.text)
    message = _MESSAGES[kind].format(
        doing=doing,
        status=status[1] if status else "no status",
        reason=_network_reason(result),
        limit=result.time_limit,
        folder=config_folder(),
        last_line=_last_line(result),
    )
    return KaggleError(kind, message)


def forbidden(entered: bool | None, doing: str) -> str:
    """Return the message for a 403. `entered`: whether the person has joined, None if unknown."""
    rules = f"accept the rules at {SPEC.url}/rules (Join Competition), then {_RETRY}"
    account = f"check at {SETTINGS_URL} that your phone is verified and the token may do this"
    if entered:
        return f"Kaggle does not allow it (403 while {doing}), though you have joined; {account}"
    if entered is None:
        return f"Kaggle does not allow it (403 while {doing}); {rules}; if you have, {account}"
    return f"the rules of {SPEC.slug} are not accepted yet (403 while {doing}); {rules}"


def daily_limit(left: int | None, today: int | None) -> str:
    """Return the message for a refused submission (400).

    `left` is how many more Kaggle accepts today and `today` how many it accepted; None if unknown.
    """
    refused = "Kaggle refused the submission (400)"
    later = f"wait until 00:00 UTC, then {_RETRY}"
    if left is None:
        return f"{refused}; most likely the daily limit is reached: {later}"
    if left > 0:
        return (
            f"{refused}, though {left} more are allowed today; see {SPEC.url}/submissions "
            "for the reason and check the CSV with `make submission`"
        )
    return f"the daily limit of submissions is reached ({today} today, 0 left); {later}"


def sign_in_message() -> str:
    """Return the message for a sign-in that failed, or that cannot be tried."""
    try:
        form = find_credentials()
    except PipelineError as error:
        return str(error)
    if form is None:
        return (
            f"no Kaggle credentials found; make an API token at {SETTINGS_URL} and save it in "
            "~/.kaggle/access_token or set KAGGLE_API_TOKEN, or use SOURCE=practice"
        )
    return (
        f"Kaggle refused {form}; make a new one at {SETTINGS_URL} and put it there; a token is "
        "used before a key, so a bad token must be replaced or removed even if the key is good"
    )


def require_credentials() -> None:
    """Raise PipelineError if there are no credentials to sign in with. Uses no network."""
    if find_credentials() is None:
        raise PipelineError(sign_in_message())


def _network_reason(result: CommandResult) -> str | None:
    for pattern, words in _NETWORK:
        if re.search(pattern, result.text):
            return words
    return None


def _last_line(result: CommandResult) -> str:
    """Return the last line that the command printed, without any address or token in it."""
    lines = [line.strip() for line in result.text.splitlines() if line.strip()]
    if not lines:
        return "it printed nothing"
    return _AUTHORIZATION.sub(r"\1 <token>", _ADDRESS.sub("<address>", lines[-1]))[:200]
