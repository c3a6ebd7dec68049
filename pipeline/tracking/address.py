"""The MLflow server that a person names: its address, without secrets, and its package."""

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import unquote

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable

VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
ADDRESS = r"(https?|file|(sqlite|postgresql|mysql|mssql)(\+\w+)?)://|(databricks(-uc)?|uc)\b"
"""What MLflow's addresses begin with."""
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")

INSTALL = "make setup MLFLOW_TRACKING_URI=<the same> installs it"

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    # A request that is repeated might make a run a second time.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}
"""Settings of MLflow, in seconds and times, unless a person has set them."""


def tracking_uri() -> str:
    """Return the server that the environment names, empty where it names none."""
    return os.environ.get(VARIABLE, "").strip()


def prepare() -> None:
    """Import MLflow, with the settings above.

    Raises PipelineError where it is not installed, or the address cannot be one.
    """
    uri = tracking_uri()
    if not re.match(ADDRESS, uri):
        what = "no address" if set(uri) & set("@?") else printable(repr(uri))  # a password, maybe
        raise PipelineError(
            f"{VARIABLE} is {what}; give a server's address or a database's, as "
            "http://127.0.0.1:5000 or sqlite:///mlflow.db"
        )
    if not find_spec("mlflow"):
        raise PipelineError(
            f"{VARIABLE} is set, but MLflow is not installed; {INSTALL}, or leave {VARIABLE} out"
        )
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # MLflow would print the address with its password.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    import logging

    import mlflow  # noqa: F401  # here, as two threads that import at the same time may collide

    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def shown(uri: str) -> str:
    """Return an address without user, password and query, fit for a message."""
    return printable(re.sub(r"//.*@", "//", uri).partition("?")[0])


def without_secrets(text: str) -> str:
    """Return a text in which no password or token of MLflow's is left."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"//\S*@", "//", re.sub(r"\b(Basic|Bearer) [^\s'\"<]+", r"\1 ***", text))


def _secrets() -> Iterator[str]:
    """Yield every form in which a secret may appear in a message."""
    uri = tracking_uri()
    given = [os.environ.get(name, "") for name in SECRETS]
    given += re.findall(r"[?&]\w*(?:pass|pwd|token)\w*=([^&]+)", uri)
    if found := re.search(r"//(.*)@", uri):
        given += [found[1], found[1].partition(":")[2]]
    for secret in filter(None, given):
        plain = unquote(secret)
        yield from (secret, plain, b64encode(plain.encode()).decode())
