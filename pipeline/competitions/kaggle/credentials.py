"""Where the kaggle command finds its credentials: their kind and location, never their value.

The order is the command's own (kaggle 2.2.4, `KaggleApi.authenticate`, and kagglesdk 0.1.37,
`get_access_token_from_env`): an access token, then a username with a key, then the sign-in that
`kaggle auth login` saves. The command itself is not run for this, because it takes a second to
start and signs in over the network.
"""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.text import printable

SETTINGS_URL = "https://www.kaggle.com/settings"
"""The page on which a person makes API tokens and keys."""

_TOKEN_FILES = ("access_token", "access_token.txt")
_KEY_FILE, _SIGN_IN_FILE = "kaggle.json", "credentials.json"
_LARGEST_FILE = 1_000_000  # bytes


def find_credentials() -> str | None:
    """Return what the kaggle command would sign in with, in words, or None without credentials.

    For example "the access token in ~/.kaggle/access_token". Whether Kaggle accepts them is not
    known. Raises PipelineError if the only credentials are a file that cannot be used: treating
    them as absent would hide a mistake from their owner. Raises it also for a token, username or
    key that no HTTP header can contain: the command would fail with a traceback, which shows the
    token.
    """
    for token, form in _access_tokens():
        if token:
            _check_header("token", token, form)
            return form
    try:
        pair = _username_and_key()
    except PipelineError:
        sign_in = _oauth()
        if sign_in is None:
            raise
        return sign_in
    if pair is None:
        return _oauth()
    form, values = pair
    for name, (value, place) in values.items():
        _check_header(name, value, f"the {name} in {place}")
    return form


def exposure() -> str | None:
    """Return, with the fix, which file with credentials other users may read; None if none is."""
    folder = _home() / ".kaggle"
    paths = [folder / name for name in (*_TOKEN_FILES, _SIGN_IN_FILE)]
    paths += [config_folder() / _KEY_FILE, Path(os.environ.get("KAGGLE_API_TOKEN", ""))]
    exposed = []
    for path in dict.fromkeys(paths):
        with suppress(OSError):
            mode = path.stat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
                exposed.append(_short(path))
    if not exposed:
        return None
    return f"other users may read {' and '.join(exposed)}; run: chmod 600 {' '.join(exposed)}"


def require_credentials(alternative: str = ", or use SOURCE=practice") -> None:
    """Raise PipelineError if there are no credentials to sign in with. Uses no network.

    `alternative` says what needs none, if anything does.
    """
    if find_credentials() is None:
        raise PipelineError(
            f"no Kaggle credentials found; make an API token at {SETTINGS_URL} and save it in "
            f"~/.kaggle/access_token or set KAGGLE_API_TOKEN{alternative}"
        )


def _check_header(name: str, value: object, form: str) -> None:
    """Raise PipelineError if the value, which is not shown, cannot be part of a HTTP header."""
    if not (isinstance(value, str) and re.fullmatch(r"[!-~]+", value)):
        raise PipelineError(
            f"{form} contains a space, a line break or a character that no {name} has; it must be "
            f"the {name} alone, without a line break at its end"
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
        for name in _TOKEN_FILES:
            path = _home() / ".kaggle" / name
            yield _text(path), f"the access token in {_short(path)}"


def _username_and_key() -> tuple[str, dict[str, tuple[object, str]]] | None:
    """Return the form of username and key, and each by its name with the place that it is from.

    Each is from the environment, or else from kaggle.json. Raises PipelineError if kaggle.json
    cannot be read, or if only one of the two is given.
    """
    variables = {"username": "KAGGLE_USERNAME", "key": "KAGGLE_KEY"}
    values: dict[str, tuple[object, str]] = {
        name: (os.environ[variable], f"the environment variable {variable}")
        for name, variable in variables.items()
        if os.environ.get(variable)
    }
    given = list(values)
    if len(given) == 2:
        return "the environment variables KAGGLE_USERNAME and KAGGLE_KEY", values
    path = config_folder() / _KEY_FILE
    settings, place = _read_json(path), _short(path)
    stored = [name for name in variables if name not in given and settings.get(name)]
    values |= {name: (settings[name], place) for name in stored}
    # The command saves other settings in this file too, so a file without both is no mistake.
    if not values:
        return None
    for name, variable in variables.items():
        if name not in values:
            raise PipelineError(
                f"{place}: no {name} in it, nor in the environment variable {variable}; "
                f"username and key are needed together; download kaggle.json at {SETTINGS_URL}"
            )
    if given:
        form = f"the environment variable {variables[given[0]]} and the {stored[0]} in {place}"
        return form, values
    return f"the username and key in {place}", values


def _oauth() -> str | None:
    """Return the form of the sign-in that `kaggle auth login` saved, if there is one."""
    path = _home() / ".kaggle" / _SIGN_IN_FILE
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
    usual = _home() / ".kaggle"
    if os.path.exists(usual) or not sys.platform.startswith("linux"):
        return usual
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config") / "kaggle"


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
        return files.read_bytes(path, _LARGEST_FILE).decode().strip() or None
    except (OSError, ValueError):
        return None


def _short(path: Path) -> str:
    """Return `path` with ~ for the home folder, fit for a terminal."""
    home = _home()
    short = Path("~") / path.relative_to(home) if path.is_relative_to(home) else path
    return printable(short)


def _home() -> Path:
    """Return the home folder as the command finds it. Path.home raises an error without one."""
    return Path(os.path.expanduser("~"))
