"""Where the kaggle command finds its credentials: their kind and location, never their value.

The order is the command's own (kaggle 2.2.4, `KaggleApi.authenticate`, and kagglesdk 0.1.37,
`get_access_token_from_env`): an access token, then a username with a key, then the sign-in that
`kaggle auth login` saves. The command itself is not run for this, because it takes a second to
start and signs in over the network.
"""

import json
import os
import re
import sys
from pathlib import Path

from pipeline.common.errors import PipelineError

SETTINGS_URL = "https://www.kaggle.com/settings"
"""The page on which a person makes API tokens and keys."""


def find_credentials() -> str | None:
    """Return what the kaggle command would sign in with, in words, or None without credentials.

    For example "the access token in ~/.kaggle/access_token". Whether Kaggle accepts them is not
    known. Raises PipelineError if the only credentials are a file that cannot be used: treating
    them as absent would hide a mistake from their owner. Raises it also for a token that no HTTP
    header can contain: the command would fail with a traceback that shows the token.
    """
    form = _access_token()
    if form is not None:
        return form
    mistake = None
    try:
        form = _username_and_key()
    except PipelineError as error:
        mistake = error
    form = form or _oauth()
    if form is None and mistake is not None:
        raise mistake
    return form


def _access_token() -> str | None:
    """Return the form of the access token, if there is one."""
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ and "KAGGLE_DATA_PROXY_URL" in os.environ:
        notebook = os.environ.get("KAGGLE_API_V1_TOKEN")
        token = _text(Path(notebook)) if notebook else None
        if token:
            return _sendable(token, "the access token of this Kaggle notebook")
    value = os.environ.get("KAGGLE_API_TOKEN")
    if value:
        if not _exists(Path(value)):
            form = "the access token in the environment variable KAGGLE_API_TOKEN"
            return _sendable(value, form)
        # The command reads no other token file once this variable names a file.
        token = _text(Path(value))
        form = f"the access token in {_short(Path(value))} (named by KAGGLE_API_TOKEN)"
        return _sendable(token, form) if token else None
    for name in ("access_token", "access_token.txt"):
        path = Path.home() / ".kaggle" / name
        token = _text(path)
        if token:
            return _sendable(token, f"the access token in {_short(path)}")
    return None


def _sendable(token: str, form: str) -> str:
    """Return `form`. Raises PipelineError for characters that a token in a header cannot have."""
    if not re.fullmatch(r"[!-~]+", token):
        raise PipelineError(
            f"{form} contains a space, a line break or a character that no token has; it must be "
            "the token alone, without a line break at its end"
        )
    return form


def _username_and_key() -> str | None:
    """Return the form of username and key: each from the environment, or else from kaggle.json.

    Raises PipelineError if kaggle.json cannot be read, or if only one of the two is given.
    """
    names = ("username", "key")
    given = [name for name in names if os.environ.get(f"KAGGLE_{name}".upper())]
    if len(given) == 2:
        return "the environment variables KAGGLE_USERNAME and KAGGLE_KEY"
    path = config_folder() / "kaggle.json"
    # The command saves other settings in this file too, so a file without both is no mistake.
    settings = _read_json(path) if _exists(path) else {}
    stored = [name for name in names if settings.get(name)]
    absent = [name for name in names if name not in given + stored]
    if len(absent) == 2:
        return None
    if absent:
        variable = f"KAGGLE_{absent[0]}".upper()
        raise PipelineError(
            f"{_short(path)}: no {absent[0]} in it, nor in the environment variable {variable}; "
            f"username and key are needed together; download kaggle.json at {SETTINGS_URL}"
        )
    if given:
        variable = f"KAGGLE_{given[0]}".upper()
        other = "key" if given == ["username"] else "username"
        return f"the environment variable {variable} and the {other} in {_short(path)}"
    return f"the username and key in {_short(path)}"


def _oauth() -> str | None:
    """Return the form of the sign-in that `kaggle auth login` saved, if there is one."""
    path = Path.home() / ".kaggle" / "credentials.json"
    try:
        sign_in = _read_json(path) if _exists(path) else {}
    except PipelineError:
        return None
    if not sign_in.get("refresh_token"):
        return None
    return f"the sign-in of `kaggle auth login` in {_short(path)}"


def config_folder() -> Path:
    """Return the folder in which the kaggle command looks for kaggle.json.

    That is KAGGLE_CONFIG_DIR, or ~/.kaggle if it exists, or on Linux the XDG folder.
    """
    configured = os.environ.get("KAGGLE_CONFIG_DIR")
    if configured:
        return Path(configured)
    usual = Path.home() / ".kaggle"
    if _exists(usual) or not sys.platform.startswith("linux"):
        return usual
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in `path`. Raises PipelineError if it cannot be read as one."""
    advice = f"download it again at {SETTINGS_URL} or remove it"
    text = _text(path)
    if text is None:
        raise PipelineError(f"{_short(path)}: empty or not readable; {advice}")
    try:
        content = json.loads(text)
    except ValueError:
        raise PipelineError(f"{_short(path)}: not JSON; {advice}") from None
    if not isinstance(content, dict):
        raise PipelineError(f"{_short(path)}: a JSON object is needed; {advice}")
    return content


def _text(path: Path) -> str | None:
    """Return the stripped text of `path`, or None if it is empty, absent or not readable."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def _exists(path: Path) -> bool:
    """Return whether `path` exists. A long token is no valid file name and raises OSError."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _short(path: Path) -> str:
    """Return `path` with ~ for the home folder."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except ValueError:
        return str(path)
