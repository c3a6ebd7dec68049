"""Why a call of the kaggle command failed, in one line that says what to do.

The command drops the reason that Kaggle gives and keeps the bare HTTP status, so the reason is
worked out from the status and the call. Its own text is never passed on whole, because it can
hold an upload address with a session token.
"""

import re
from enum import Enum, auto

from pipeline.common.errors import PipelineError
from pipeline.competitions.kaggle.command import Outcome
from pipeline.competitions.kaggle.credentials import SETTINGS_URL, config_folder, find_credentials
from pipeline.data.spec import SPEC


class Kind(Enum):
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


# After one of these it is still open whether Kaggle took a submission: the answer got lost.
UNDECIDED = frozenset({Kind.SERVER, Kind.NETWORK, Kind.TOO_LONG, Kind.OTHER})

_STATUS = re.compile(r"\b([45]\d\d) (?:Client|Server) Error")
_BY_STATUS = {
    "400": Kind.BAD_REQUEST,
    "401": Kind.CREDENTIALS,
    "403": Kind.FORBIDDEN,
    "404": Kind.NOT_FOUND,
    "429": Kind.TOO_MANY,
}

# Names of requests and urllib3 for what can go wrong under HTTP; the first that fits is told.
_NETWORK = (
    (r"NameResolutionError|Name or service not known|getaddrinfo", "a host name was not found"),
    (r"SSLError|CERTIFICATE_VERIFY_FAILED", "the certificate check failed"),
    (r"Connection refused", "the connection was refused"),
    (r"Tunnel connection failed|ProxyError", "the proxy did not let it through"),
    (r"Network is unreachable|No route to host", "there is no way to the host"),
    (r"Read timed out|ConnectTimeout|ReadTimeout", "there was no answer in time"),
    (
        r"ConnectionError|Connection aborted|RemoteDisconnected|Max retries exceeded"
        r"|IncompleteRead|Download failed after",
        "the connection broke off",
    ),
)
_ADDRESS = re.compile(r"\w+://\S+|\burl: \S+")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\b.*")


class KaggleError(PipelineError):
    """A failed call of the kaggle command, with its kind."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def classify(outcome: Outcome) -> Kind | None:
    """Return what went wrong in a call, or None if nothing shows that anything did."""
    if outcome.code is None:
        return Kind.TOO_LONG
    if outcome.code == 0:
        # The command's words when the storage took no file; it says so with exit code 0.
        refused = outcome.stdout.rstrip().endswith("Could not submit to competition")
        return Kind.REFUSED_UPLOAD if refused else None
    if "os.makedirs(config_dir)" in outcome.stderr:
        return Kind.HOME
    if "No space left on device" in outcome.text:
        return Kind.DISK
    if "Authentication required" in outcome.stdout:
        return Kind.CREDENTIALS
    status = _STATUS.search(outcome.text)
    if status is not None:
        usual = Kind.SERVER if status[1].startswith("5") else Kind.OTHER
        return _BY_STATUS.get(status[1], usual)
    return Kind.NETWORK if _network_reason(outcome) else Kind.OTHER


_AGAIN = "run the same command again"
_MESSAGES = {
    Kind.NOT_FOUND: (
        "Kaggle has no competition or file of that name (404 while {doing}); see whether "
        f"{SPEC.url} opens in a browser; if so, run `make setup` and {_AGAIN}"
    ),
    Kind.TOO_MANY: (
        f"Kaggle was asked too often (429 while {{doing}}); wait some minutes, then {_AGAIN}"
    ),
    Kind.BAD_REQUEST: (
        "Kaggle does not take the request (400 while {doing}); see "
        f"{SPEC.url} for what it accepts at present"
    ),
    Kind.REFUSED_UPLOAD: (
        f"Kaggle's storage refused the file while {{doing}}, so nothing was submitted; {_AGAIN}"
    ),
    Kind.SERVER: (
        "Kaggle has a fault of its own ({status} while {doing}); wait some minutes, then "
        f"{_AGAIN}"
    ),
    Kind.NETWORK: (
        "Kaggle cannot be reached while {doing}: {reason}; check the network and the proxy "
        f"(HTTPS_PROXY), then {_AGAIN}"
    ),
    Kind.TOO_LONG: (
        "Kaggle did not finish within {limit:g} s while {doing}; the kaggle command was stopped; "
        f"check the network, then {_AGAIN}"
    ),
    Kind.HOME: (
        "{folder}: the kaggle command cannot make its settings folder there; set "
        "KAGGLE_CONFIG_DIR to a folder that you can write to"
    ),
    Kind.DISK: f"the disk is full while {{doing}}; free 300 MB, then {_AGAIN}",
    Kind.OTHER: (
        "the kaggle command failed while {doing}: {last_line}; "
        f"{_AGAIN}, and if it stays run `make doctor`"
    ),
}


def explain(outcome: Outcome, kind: Kind, doing: str) -> KaggleError:
    """Return the failure of a call as an error to raise.

    `doing` says what the call was for, as in "downloading the data". For 400 and 403 the caller
    can find out more: see `daily_limit` and `forbidden`.
    """
    if kind is Kind.CREDENTIALS:
        return KaggleError(kind, sign_in_message())
    if kind is Kind.FORBIDDEN:
        return KaggleError(kind, forbidden(None, doing))
    status = _STATUS.search(outcome.text)
    message = _MESSAGES[kind].format(
        doing=doing,
        status=status[1] if status else "no status",
        reason=_network_reason(outcome),
        limit=outcome.time_limit,
        folder=config_folder(),
        last_line=_last_line(outcome),
    )
    return KaggleError(kind, message)


def forbidden(entered: bool | None, doing: str) -> str:
    """Return the message for a 403; `entered` says whether the person joined, if known."""
    rules = f"accept the rules at {SPEC.url}/rules (Join Competition), then {_AGAIN}"
    account = f"check at {SETTINGS_URL} that your phone is verified and the token may do this"
    if entered:
        return f"Kaggle does not allow it (403 while {doing}), though you have joined; {account}"
    if entered is None:
        return f"Kaggle does not allow it (403 while {doing}); {rules}; if you have, {account}"
    return f"the rules of {SPEC.slug} are not accepted yet (403 while {doing}); {rules}"


def daily_limit(left: int | None, today: int | None) -> str:
    """Return the message for a refused submission (400).

    `left` is how many more Kaggle takes today and `today` how many it took; None if not known.
    """
    refused = "Kaggle refused the submission (400)"
    later = f"wait until 00:00 UTC, then {_AGAIN}"
    if left is None:
        return f"{refused}; most likely the daily limit is reached: {later}"
    if left > 0:
        return (
            f"{refused}, though {left} more are allowed today; see {SPEC.url}/submissions "
            "for the reason and check the CSV with `make submission`"
        )
    return f"the daily limit of submissions is reached ({today} today, 0 left); {later}"


def sign_in_message() -> str:
    """Return the message for a sign-in that failed, or cannot be tried."""
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


def _network_reason(outcome: Outcome) -> str | None:
    for pattern, words in _NETWORK:
        if re.search(pattern, outcome.text):
            return words
    return None


def _last_line(outcome: Outcome) -> str:
    """Return the last line that the command printed, without any address or token in it."""
    lines = [line.strip() for line in outcome.text.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    return _AUTHORIZATION.sub(r"\1 <token>", _ADDRESS.sub("<address>", lines[-1]))[:200]
