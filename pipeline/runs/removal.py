"""Removes run folders: at any moment, a folder is whole, or it is hidden from all commands."""

import os
import secrets
import shutil
from pathlib import Path

_HIDDEN = ".removed-"


def remove_folder(folder: Path) -> Path | None:
    """Hide a run's folder, and then delete it. Return what could not be deleted, if anything.

    Its new name is one at which no command looks for runs; a full disk has room for that. What a
    killed process leaves is for `remove_leftovers`. Links are deleted, never followed.
    """
    hidden = folder.with_name(f"{_HIDDEN}{secrets.token_hex(4)}-{folder.name}"[:255])
    os.replace(folder, hidden)
    return _deleted(hidden)


def remove_leftovers(folder: Path) -> list[Path]:
    """Delete what killed removals have left in the folder of all runs.

    Return what could not be deleted. Hold the store's lock meanwhile: what another process is
    deleting is no leftover.
    """
    left = [_deleted(hidden) for hidden in sorted(folder.glob(f"{_HIDDEN}*"))]
    return [path for path in left if path]


def _deleted(hidden: Path) -> Path | None:
    shutil.rmtree(hidden, ignore_errors=True)
    return hidden if hidden.exists() else None
