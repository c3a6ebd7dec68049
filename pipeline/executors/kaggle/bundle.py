"""This package in one text, to be sent to a machine that has no checkout of it."""

import base64
import io
import lzma
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.common.errors import PipelineError

PACKAGE = Path(__file__).parents[2]
LOCK, BASE_LOCK = (
    PACKAGE.parent / name for name in ("requirements-kaggle.lock", "requirements.lock")
)
"""The packages that training at Kaggle needs: those of the base lock without the developers' tools,
and beyond it the CUDA libraries and uv."""
_SENT = (".py", ".toml")


def pack(contents: Mapping[str, bytes]) -> str:
    """Return this package, and these contents by their paths, as a tar.xz in base64."""
    sources = {
        path.relative_to(PACKAGE.parent).as_posix(): path.read_bytes() for path in sorted(_files())
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in {**contents, **sources}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return base64.b64encode(lzma.compress(buffer.getvalue())).decode()


def _files() -> Iterator[Path]:
    """Yield the package's modules and recipes, and no file that may lie beside them."""
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.suffix in _SENT and not path.name.startswith("."):
            yield path


def read_lock(path: Path) -> dict[str, str]:
    """Return the entries of a lock by the packages' names: a version for each kind of Python.

    Raises PipelineError if the file is missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise PipelineError(
            f"{path} is missing, which goes with the code to Kaggle; git checkout -- {path.name}"
        ) from None
    entries: dict[str, str] = {}
    for entry in re.findall(r"^[^\s#].*\n(?:[ \t]+--hash.*\n)*", text, re.MULTILINE):
        name = re.split(r"[^A-Za-z0-9._-]", entry)[0]
        entries[name] = entries.get(name, "") + entry
    return entries


def differences(lock: Mapping[str, str], versions: Mapping[str, str]) -> list[str]:
    """Return the libraries whose versions here are not locked ones, each with both versions."""
    return [
        f"{name} {version} (locked: {' or '.join(pins)})"
        for name, version in versions.items()
        if name in lock and version not in (pins := re.findall(r"^\S+==(\S+)", lock[name], re.M))
    ]


def packages(lock: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of what this package needs on any machine, by the names.

    A version is empty where it depends on Python's. Packages for one system only are left out.
    """
    found = {}
    for name in sorted(lock.keys() & base.keys()):
        pins = re.findall(r"^\S+==(\S+)(?: ; (.*?))? \\$", lock[name], re.MULTILINE)
        if all(not marker or "python" in marker for _, marker in pins):
            found[name] = pins[0][0] if len(pins) == 1 else ""
    return found
