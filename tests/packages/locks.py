"""The locks, and the packages in them."""

import re

from tests.commands import REPOSITORY

LOCKS = sorted(REPOSITORY.glob("requirements*.lock"))


def locked() -> dict[str, str]:
    """Return the version of each package in any lock, the first one where there are several."""
    pins: dict[str, str] = {}
    for lock in LOCKS:
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE):
            pins.setdefault(name, version)
    return dict(sorted(pins.items()))
