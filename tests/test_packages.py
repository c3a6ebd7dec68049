"""The locks, the list of their licences, and an audit that never takes unchecked for clean."""

import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.commands import REPOSITORY
from tests.packages.licences import licence, listed
from tests.packages.locks import LOCKS, locked


def test_every_locked_package_has_a_licence_in_the_list() -> None:
    licences = listed()
    assert list(licences) == list(locked())
    assert all(licences.values())
    pins = locked()
    for package in distributions():
        name = package.name.lower().replace("_", "-").replace(".", "-")
        if pins.get(name) == package.version:
            assert licences[name] == licence(name, package.metadata.json)


def test_the_locks_agree_and_name_no_host() -> None:
    texts = [lock.read_text() for lock in LOCKS]
    assert not any("://" in text or "--index" in text or "--extra-index" in text for text in texts)
    (pins,) = [lock.read_text() for lock in LOCKS if lock.name == "requirements.lock"]
    common = {line for line in pins.splitlines() if "==" in line}
    for lock, text in zip(LOCKS, texts, strict=True):
        own = {line for line in text.splitlines() if "==" in line}
        without_tools = lock.name == "requirements-kaggle.lock"
        names = {line.split("==")[0] for line in (own if without_tools else common)}
        assert {line for line in common if line.split("==")[0] in names} <= own
        assert {"tensorflow", "keras", "numpy", "kaggle"} <= names


CLEAN = [{"name": name, "version": version, "vulns": []} for name, version in locked().items()]
FAULT = {"id": "CVE-1", "fix_versions": ["9.9"], "aliases": [], "description": ""}


@pytest.mark.parametrize(
    ("packages", "code", "expected"),
    [
        (CLEAN, 0, "packages checked, no known vulnerabilities"),
        ([{**CLEAN[0], "vulns": [FAULT]}, *CLEAN[1:]], 1, "absl-py 2.5.1: CVE-1, fixed in 9.9"),
        (
            [{"name": "absl-py", "skip_reason": "not found"}, *CLEAN[1:]],
            1,
            "packages were not checked, because pip-audit's database could not be reached or does "
            "not know them: absl-py; check the network",
        ),
        ([], 1, f"error: {len(CLEAN)} of {len(CLEAN)} packages were not checked"),
        (None, 1, "error: nothing was checked: ConnectionError: no \\x1bname; check the network"),
    ],
)
def test_an_audit_says_what_was_not_checked(
    tmp_path: Path, packages: list[object] | None, code: int, expected: str
) -> None:
    """With a pip_audit that prints what the real one prints."""
    answer = "import sys; sys.exit('Traceback\\nConnectionError: no \\x1bname')"
    if packages is not None:
        answer = f"print({json.dumps({'dependencies': packages, 'fixes': []})!r})"
    (tmp_path / "pip_audit.py").write_text(answer)
    path = f"{tmp_path}{os.pathsep}{REPOSITORY}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.packages.audit"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    (line,) = (done.stdout + done.stderr).splitlines()
    assert expected in line
