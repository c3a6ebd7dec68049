"""Where a run's numbers come from: the code, the library versions and the git commit."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]

SHAPING_MODULES = (
    "data",
    "executors",
    "networks",
    "prediction",
    "training",
)
"""The modules that decide a run's numbers. A change elsewhere (a table, a message) leaves runs
reusable; the git commit and its dirty flag are recorded beside."""

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "scipy")


def code_fingerprint() -> str:
    """Return the SHA-256 of the sources that decide a run's numbers."""
    digest = hashlib.sha256()
    for name in SHAPING_MODULES:
        module = PACKAGE / f"{name}.py"
        for path in [module] if module.is_file() else sorted((PACKAGE / name).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a run's numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def identity(parts: Mapping[str, Any]) -> str:
    """Return a SHA-256 over JSON-serialisable parts: equal parts mean the same run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def git_state() -> dict[str, Any]:
    """Return the commit of the checkout and whether files differ from it; empty without git."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
