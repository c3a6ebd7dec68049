"""Where a run's numbers come from: library versions, the git commit, the command as typed."""

import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "scipy")
"""The libraries that decide a run's numbers."""

PROGRAM = "python -m pipeline"
"""The command line's name, as a person types it."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of `LIBRARIES`."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def hash_of(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON-serialisable parts, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def git_state() -> dict[str, Any]:
    """Return the commit of the checkout and whether files differ from it. Empty without git."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain"))}


def command_as_typed(variables: Iterable[str]) -> str:
    """Return a shell line that repeats this process's command.

    `variables` are the names of the environment variables that the command reads. Those that are
    set stand before it. None of them holds a secret.
    """
    given = [f"{name}={shlex.quote(os.environ[name])}" for name in variables if os.getenv(name)]
    return " ".join([*given, PROGRAM, *map(shlex.quote, sys.argv[1:])])


def _git(*arguments: str) -> str | None:
    folder = str(Path(__file__).parent)
    try:
        result = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
