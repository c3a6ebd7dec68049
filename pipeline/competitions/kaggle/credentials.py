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
from collections.abc import Iterator
from contextlib import suppress
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
    for token, form in _access_tokens():
        if token and not re.fullmatch(r"[!-~]+", token):
            raise PipelineError(
                f"{form} contains a space, a line break or a character that no token has; it must "
                "be the token alone, without a line break at its end"
            )
        if token:
            return form
    try:
        return _username_and_key() or _oauth()
    except PipelineError:
        sign_in = _oauth()
        if sign_in is None:
            raise
        return sign_in


def require_credentials() -> None:
    """Raise PipelineError if there are no credentials to sign in with. Uses no network."""
    if find_credentials() is None:
        raise PipelineError(
            f"no Kaggle credentials found; make an API token at {SETTINGS_URL} and save it in "
            "~/.kaggle/access_token or set KAGGLE_API_TOKEN, or use SOURCE=practice"
        )


def _access_tokens() -> Iterator[tuple[str | None, str]]:
    """Yield each access token, None if there is none, and its form, in the command's order."""
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ and "KAGGLE_DATA_PROXY_URL" in os.environ:
        notebook = Path(os.environ.get("KAGGLE_API_V1_TOKEN", ""))
        yield _text(notebook), "the access token of this Kaggle notebook"
    value = os.environ.get("KAGGLE_API_TOKEN")
    # Path.exists would raise OSError for a token that is too long for a file's name.
    if value and not os.path.exists(value):
        yield value, "the access token in the environment variable KAGGLE_API_TOKEN"
    elif value:
        # The command reads no other token file once this variable names a file.
        path = Path(value)
        yield _text(path), f"the access token in {_short(path)} (named by KAGGLE_API_TOKEN)"
    else:
        for name in ("access_token", "access_token.txt"):
            path = Path.home() / ".kaggle" / name
            yield _text(path), f"the access token in {_short(path)}"


def _username_and_key() -> str | None:
    """Return the form of username and key: each from the environment, or else from kaggle.json.

    Raises PipelineError if kaggle.json cannot be read, or if only one of the two is given.
    """
    variables = {"username": "KAGGLE_USERNAME", "key": "KAGGLE_KEY"}
    given = [name for name, variable in variables.items() if os.environ.get(variable)]
    if len(given) == 2:
        return "the environment variables KAGGLE_USERNAME and KAGGLE_KEY"
    path = config_folder() / "kaggle.json"
    settings, place = _read_json(path), _short(path)
    stored = [name for name in variables if name not in given and settings.get(name)]
    # The command saves other settings in this file too, so a file without both is no mistake.
    if not given and not stored:
        return None
    for name, variable in variables.items():
        if name not in given + stored:
            raise PipelineError(
                f"{place}: no {name} in it, nor in the environment variable {variable}; "
                f"username and key are needed together; download kaggle.json at {SETTINGS_URL}"
            )
    if given:
        return f"the environment variable {variables[given[0]]} and the {stored[0]} in {place}"
    return f"the username and key in {place}"


def _oauth() -> str | None:
    """Return the form of the sign-in that `kaggle auth login` saved, if there is one."""
    path = Path.home() / ".kaggle" / "credentials.json"
    with suppress(PipelineError):
        if _read_json(path).get("refresh_token"):
            return f"the sign-in of `kaggle auth login` in {_short(path)}"
    return None


def config_folder() -> Path:
    """Return the folder in which the kaggle command looks for kaggle.json.

    That is KAGGLE_CONFIG_DIR, or ~/.kaggle if it exists, or on Linux the XDG folder.
    """
    configured = os.environ.get("KAGGLE_CONFIG_DIR")
    if configured:
        return Path(configured)
    usual = Path.home() / ".kaggle"
    if os.path.exists(usual) or not sys.platform.startswith("linux"):
        return usual
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in `path`, empty if there is no file. Raises PipelineError."""
    if not os.path.exists(path):
        return {}
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


def _short(path: Path) -> str:
    """Return `path` with ~ for the home folder."""
    home = Path.home()
    return str(Path("~") / path.relative_to(home)) if path.is_relative_to(home) else str(path)
