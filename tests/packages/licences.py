"""Writes docs/licences.md, the list of the locked packages' licences, as part of `make lock`.

pip reads what the packages say of themselves, of those too that this machine has no use for. The
pip of requirements-audit.lock is new enough.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.common.files import write_text
from tests.commands import REPOSITORY
from tests.packages.locks import locked

PAGE = REPOSITORY / "docs" / "licences.md"
HEAD = """\
# Licences of the locked packages

`make lock` writes this list from what the packages say of themselves. The packages of
`requirements-gpu.lock`, `requirements-ray.lock`, `requirements-tools.lock`,
`requirements-mlflow.lock`, `requirements-test.lock` and `requirements-audit.lock` are installed
only where they are needed.

| package | licence |
|---|---|
"""
LONGEST = 60  # characters; more is the licence's whole text
UNSTATED = {"cleanlab": "Apache-2.0", "huey": "MIT", "namex": "Apache-2.0"}
"""What is in the LICENSE file of packages whose metadata have no short name of it."""
WINDOWS_ONLY = {"pywin32": "PSF-2.0"}
"""Packages without a file that pip on another system could read. PyPI's page states the licence."""


def licence(name: str, metadata: Mapping[str, Any]) -> str:
    """Return a package's licence from its metadata, empty where they do not state one.

    `metadata` is in the form of PEP 566, as pip's report and `importlib.metadata` give it.
    """
    classifiers = metadata.get("classifier", [])
    texts = [one.rsplit(" :: ", 1)[-1] for one in classifiers if one.startswith("License :: ")]
    named = ", ".join(one for one in texts if not one.startswith("Other"))
    field = metadata.get("license") or ""
    short = field if len(field) <= LONGEST and "\n" not in field else ""
    return metadata.get("license_expression") or named or short or UNSTATED.get(name, "")


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
        readable = [f"{k}=={v}\n" for k, v in locked().items() if k not in WINDOWS_ONLY]
        pins.write_text("".join(readable))
        options = ["--quiet", "--dry-run", "--ignore-installed", "--ignore-requires-python"]
        options += ["--no-deps", "--report", str(report), "--requirement", str(pins)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True)
        found = [one["metadata"] for one in json.loads(report.read_text())["install"]]
    rows = {name: WINDOWS_ONLY.get(name, "") for name in locked()}
    for one in found:
        name = re.sub(r"[-_.]+", "-", one["name"]).lower()
        rows[name] = licence(name, one)
    write_text(PAGE, HEAD + "".join(f"| `{name}` | {text} |\n" for name, text in rows.items()))
    missing = [name for name, text in rows.items() if not text]
    if missing:
        print(f"error: no licence is stated for {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
