"""Removes run folders: at any moment, a folder is whole, or it is hidden from all commands."""

import os
import secrets
import shutil
from pathlib import Path

_HIDDEN = ".removed-"


def hide(folder: Path) -> Path:
    """Move a run's folder to a name at which no command looks for runs. Return its new path.

    A full disk has room for that. What a killed process leaves is for `remove_leftovers`.
    """
    hidden = folder.with_name(f"{_HIDDEN}{secrets.token_hex(4)}-{folder.name}"[:255])
    os.replace(folder, hidden)
    return hidden


def remove_leftovers(folder: Path) -> list[Path]:
    """Delete what killed removals have left in the folder of all runs.

    Return what could not be deleted. Hold the store's lock meanwhile: what another process is
    deleting is no leftover.
    """
    left = [delete(hidden) for hidden in sorted(folder.glob(f"{_HIDDEN}*"))]
    return [path for path in left if path]


def delete(hidden: Path) -> Path | None:
    """Delete a hidden folder. Return it if something of it is left. Links are never followed."""
    shutil.rmtree(hidden, ignore_errors=True)
    return hidden if hidden.exists() else None
