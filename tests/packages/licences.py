"""Writes docs/licences.md, the list of the locked packages' licences, as part of `make lock`.

pip reads what the packages say of themselves, of those too that this machine has no use for. The
pip of requirements-audit.lock is new enough.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageMetadata
from pathlib import Path

from pipeline.common.files import write_text
from tests.commands import REPOSITORY
from tests.packages.locks import locked

PAGE = REPOSITORY / "docs" / "licences.md"
HEAD = """\
# Licences of the locked packages

`make lock` writes this list from what the packages say of themselves. The packages of
`requirements-gpu.lock`, `requirements-ray.lock`, `requirements-test.lock` and
`requirements-audit.lock` are installed only where they are needed.

| package | licence |
|---|---|
"""
LONGEST = 60  # characters; more is the licence's whole text
UNSTATED = {"namex": "Apache-2.0"}
"""What is in the LICENSE file of packages that say nothing of it in their metadata."""


def licence(
    name: str, expression: str | None, field: str | None, classifiers: Sequence[str]
) -> str:
    """Return a package's licence from its metadata, empty where they do not state one."""
    texts = [one.rsplit(" :: ", 1)[-1] for one in classifiers if one.startswith("License :: ")]
    named = ", ".join(one for one in texts if not one.startswith("Other"))
    short = field if field and len(field) <= LONGEST and "\n" not in field else ""
    return expression or named or short or UNSTATED.get(name, "")


def installed_licence(name: str, metadata: PackageMetadata) -> str:
    """Return the licence of an installed package."""
    classifiers = metadata.get_all("Classifier") or []
    return licence(name, metadata["License-Expression"], metadata["License"], classifiers)


def listed() -> dict[str, str]:
    """Return the licences in docs/licences.md by package."""
    rows = PAGE.read_text().split("|---|---|\n")[1].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {name.strip("`"): text for name, text in cells}


def main() -> int:
    """Write the list. Return 1 if a package states no licence."""
    with tempfile.TemporaryDirectory() as name:
        report, pins = Path(name) / "report.json", Path(name) / "pins.txt"
        # Without the markers: a package for Windows is listed too.
        pins.write_text("".join(f"{package}=={version}\n" for package, version in locked().items()))
        options = ["--quiet", "--dry-run", "--ignore-installed", "--ignore-requires-python"]
        options += ["--no-deps", "--report", str(report), "--requirement", str(pins)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True)
        found = [one["metadata"] for one in json.loads(report.read_text())["install"]]
    rows = dict.fromkeys(locked(), "")
    for one in found:
        name = re.sub(r"[-_.]+", "-", one["name"]).lower()
        stated = one.get("license_expression"), one.get("license"), one.get("classifier", [])
        rows[name] = licence(name, *stated)
    write_text(PAGE, HEAD + "".join(f"| `{name}` | {text} |\n" for name, text in rows.items()))
    missing = [name for name, text in rows.items() if not text]
    if missing:
        print(f"error: no licence is stated for {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
