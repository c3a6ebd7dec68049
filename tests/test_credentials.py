"""Which credentials are found, and that the kaggle command uses the same ones."""

import base64
import json
import os
from pathlib import Path

import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions import sources
from pipeline.competitions.kaggle.command import run_kaggle
from pipeline.competitions.kaggle.credentials import exposure, find_credentials
from pipeline.competitions.kaggle.journal import Journal
from pipeline.stages import doctor
from tests.kaggle_stand_in import KEY, TOKEN, USERNAME, StandIn

TOKEN_FILE = "the access token in ~/.kaggle/access_token"
VARIABLE = "the access token in the environment variable KAGGLE_API_TOKEN"
PAIR = {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}
PAIR_FORM = "the environment variables KAGGLE_USERNAME and KAGGLE_KEY"
KEY_FILE = json.dumps({"username": USERNAME, "key": KEY})
KEY_FORM = "the username and key in ~/.kaggle/kaggle.json"
SIGN_IN = json.dumps(
    {
        "refresh_token": "stand_in_refresh",
        "access_token": TOKEN,
        "access_token_expiration": "2999-01-01T00:00:00+00:00",
        "username": USERNAME,
    }
)
SIGN_IN_FORM = "the sign-in of `kaggle auth login` in ~/.kaggle/credentials.json"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder and an environment without any credentials."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def fill(home: Path, files: dict[str, str]) -> None:
    """Write `files`, a path below `home` to its text."""
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)


def test_nothing(home: Path) -> None:
    assert find_credentials() is None


@pytest.mark.parametrize(
    ("files", "variables", "form"),
    [
        ({}, {"KAGGLE_API_TOKEN": TOKEN}, VARIABLE),
        ({}, {"KAGGLE_API_TOKEN": "x" * 5000}, VARIABLE),
        (
            {"my/token": TOKEN},
            {"KAGGLE_API_TOKEN": "{home}/my/token"},
            "the access token in ~/my/token (named by KAGGLE_API_TOKEN)",
        ),
        ({".kaggle/access_token": TOKEN}, {}, TOKEN_FILE),
        ({".kaggle/access_token.txt": TOKEN}, {}, f"{TOKEN_FILE}.txt"),
        ({".kaggle/access_token": TOKEN}, {"KAGGLE_CONFIG_DIR": "{home}/other"}, TOKEN_FILE),
        ({".kaggle/access_token": " \n", ".kaggle/kaggle.json": KEY_FILE}, {}, KEY_FORM),
        ({}, PAIR, PAIR_FORM),
        ({".kaggle/kaggle.json": KEY_FILE}, PAIR, PAIR_FORM),
        ({".kaggle/kaggle.json": KEY_FILE}, {}, KEY_FORM),
        (
            {"other/kaggle.json": KEY_FILE},
            {"KAGGLE_CONFIG_DIR": "{home}/other"},
            "the username and key in ~/other/kaggle.json",
        ),
        (
            {".config/kaggle/kaggle.json": KEY_FILE},
            {},
            "the username and key in ~/.config/kaggle/kaggle.json",
        ),
        (
            {"xdg/kaggle/kaggle.json": KEY_FILE},
            {"XDG_CONFIG_HOME": "{home}/xdg"},
            "the username and key in ~/xdg/kaggle/kaggle.json",
        ),
        (
            {".kaggle/kaggle.json": json.dumps({"key": KEY})},
            {"KAGGLE_USERNAME": USERNAME},
            "the environment variable KAGGLE_USERNAME and the key in ~/.kaggle/kaggle.json",
        ),
        ({".kaggle/credentials.json": SIGN_IN}, {}, SIGN_IN_FORM),
        ({".kaggle/credentials.json": SIGN_IN, ".kaggle/kaggle.json": "{"}, {}, SIGN_IN_FORM),
        ({".kaggle/credentials.json": SIGN_IN, ".kaggle/kaggle.json": KEY_FILE}, {}, KEY_FORM),
        ({".kaggle/access_token": TOKEN, ".kaggle/kaggle.json": KEY_FILE}, PAIR, TOKEN_FILE),
        ({".kaggle/access_token": TOKEN}, {"KAGGLE_API_TOKEN": TOKEN}, VARIABLE),
        # kaggle.json has other settings too.
        ({".kaggle/kaggle.json": '{"competition": "digit-recognizer"}'}, {}, None),
        ({".kaggle/credentials.json": "{"}, {}, None),
        # Once the variable names a file, no other token file counts.
        (
            {"empty": "", ".kaggle/access_token": TOKEN},
            {"KAGGLE_API_TOKEN": "{home}/empty"},
            None,
        ),
        # kaggle.json in ~/.kaggle does not count where KAGGLE_CONFIG_DIR names another folder.
        ({".kaggle/kaggle.json": KEY_FILE}, {"KAGGLE_CONFIG_DIR": "{home}/other"}, None),
    ],
)
def test_forms_in_the_commands_order(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    variables: dict[str, str],
    form: str | None,
) -> None:
    fill(home, files)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("{home}", str(home)))
    assert find_credentials() == form
    for secret in (TOKEN, KEY):
        assert secret not in str(form)


def test_token_of_a_kaggle_notebook(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(home, {"notebook": TOKEN})
    monkeypatch.setenv("KAGGLE_API_V1_TOKEN", str(home / "notebook"))
    assert find_credentials() is None
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.setenv("KAGGLE_DATA_PROXY_URL", "http://localhost")
    assert find_credentials() == "the access token of this Kaggle notebook"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "~/.kaggle/kaggle.json: not JSON; download it again at https://www.kaggle.com"),
        ("", "~/.kaggle/kaggle.json: empty or not readable"),
        ("[]", "~/.kaggle/kaggle.json: a JSON object is needed"),
        (json.dumps({"username": USERNAME}), "kaggle.json: no key in it, nor in the environment"),
        (json.dumps({"username": "", "key": KEY}), "kaggle.json: no username in it, nor in"),
    ],
)
def test_unusable_key_file_is_reported(home: Path, text: str, expected: str) -> None:
    fill(home, {".kaggle/kaggle.json": text})
    with pytest.raises(PipelineError) as caught:
        find_credentials()
    assert expected in str(caught.value)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("token", [f"{TOKEN}\r", f"{TOKEN}\n", f"{TOKEN} x", f"\u201c{TOKEN}"])
def test_a_token_that_no_header_can_contain_is_reported(
    token: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    with pytest.raises(PipelineError, match=f"{VARIABLE} contains a space, a line break") as caught:
        find_credentials()
    assert TOKEN not in str(caught.value)


def test_a_token_file_of_two_lines_is_reported(home: Path) -> None:
    fill(home, {".kaggle/access_token": f"{TOKEN}\nand more\n"})
    with pytest.raises(
        PipelineError, match=r"~/.kaggle/access_token contains a space, a line"
    ) as caught:
        find_credentials()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "variables", "place"),
    [
        (
            {".kaggle/kaggle.json": json.dumps({"username": USERNAME, "key": f"{KEY}\u20ac"})},
            {},
            "the key in ~/.kaggle/kaggle.json",
        ),
        (
            # The command prefers the key, although it cannot be used.
            {".kaggle/kaggle.json": KEY_FILE, ".kaggle/credentials.json": SIGN_IN},
            {"KAGGLE_USERNAME": f"{KEY}\u0416"},
            "the username in the environment variable KAGGLE_USERNAME",
        ),
        ({}, PAIR | {"KAGGLE_KEY": f"{KEY}\n"}, "the key in the environment variable KAGGLE_KEY"),
        (
            {".kaggle/kaggle.json": json.dumps({"username": [KEY], "key": KEY})},
            {},
            "the username in ~/.kaggle/kaggle.json",
        ),
    ],
)
def test_a_username_or_key_that_no_header_can_contain_is_reported(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    variables: dict[str, str],
    place: str,
) -> None:
    fill(home, files)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PipelineError, match=f"{place} contains a space, a line break") as caught:
        find_credentials()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "variables", "form"),
    [
        (".kaggle/access_token", {}, TOKEN_FILE),
        (".kaggle/kaggle.json", {}, KEY_FORM),
        (".kaggle/credentials.json", {}, SIGN_IN_FORM),
        ("t", {"KAGGLE_API_TOKEN": "{home}/t"}, "the access token in ~/t (named by"),
    ],
)
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_keys_that_others_may_read_are_reported(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variables: dict[str, str],
    form: str,
    mode: int,
) -> None:
    texts = {".kaggle/kaggle.json": KEY_FILE, ".kaggle/credentials.json": SIGN_IN}
    fill(home, {name: texts.get(name, TOKEN)})
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value.replace("{home}", str(home)))
    assert exposure() is None
    (home / name).chmod(mode)
    warning = f"other users may read ~/{name}; run: chmod 600 ~/{name}"
    lines: list[str] = []
    sources.choose("auto", 0, home, Journal(home), lines.append)
    assert lines[0].startswith(f"source: Kaggle, with {form}")
    assert lines[0].endswith(f" ({warning})")
    (finding,) = (one for one in doctor.examine(home) if one.subject == "Kaggle credentials")
    assert finding.state.startswith(form)
    assert finding.fix == warning


def test_paths_are_shown_without_control_characters(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / "\x1b[2J\n"))
    fill(home, {"\x1b[2J\n/kaggle.json": "{"})
    with pytest.raises(PipelineError, match=r"~/\\x1b\[2J\\n/kaggle.json: not JSON"):
        find_credentials()


def test_credentials_that_never_end_are_not_read(home: Path) -> None:
    (home / ".kaggle").mkdir()
    os.mkfifo(home / ".kaggle/access_token")
    (home / ".kaggle/kaggle.json").symlink_to("/dev/zero")
    with pytest.raises(PipelineError, match=r"~/.kaggle/kaggle.json: empty or not readable"):
        find_credentials()


@pytest.mark.parametrize(
    ("files", "variables", "scheme", "form"),
    [
        (
            {".kaggle/access_token": TOKEN, ".kaggle/kaggle.json": KEY_FILE},
            PAIR,
            "Bearer",
            TOKEN_FILE,
        ),
        ({"t": TOKEN}, {"KAGGLE_API_TOKEN": "t"}, "Bearer", "the access token in t (named"),
        (
            {"empty": "", ".kaggle/access_token": TOKEN},
            PAIR | {"KAGGLE_API_TOKEN": "empty"},
            "Basic",
            PAIR_FORM,
        ),
        (
            {".kaggle/kaggle.json": KEY_FILE, ".kaggle/credentials.json": SIGN_IN},
            {},
            "Basic",
            KEY_FORM,
        ),
        (
            {".kaggle/kaggle.json": "{", ".kaggle/credentials.json": SIGN_IN},
            {},
            "Bearer",
            SIGN_IN_FORM,
        ),
    ],
)
def test_command_uses_the_same(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    variables: dict[str, str],
    scheme: str,
    form: str,
) -> None:
    fill(home, files)
    monkeypatch.chdir(home)
    with StandIn() as server:
        for name, value in (server.environment(home, token=None) | variables).items():
            monkeypatch.setenv(name, value)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert str(find_credentials()).startswith(form)
        run_kaggle(["competitions", "submissions", "digit-recognizer"], time_limit=20.0)
    seen = [request.authorization for request in server.requests if request.name.startswith("List")]
    basic = base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
    assert seen == [{"Bearer": f"Bearer {TOKEN}", "Basic": f"Basic {basic}"}[scheme]]
