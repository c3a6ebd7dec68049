"""Asks pip-audit for known vulnerabilities of the locked packages: `make audit-packages`.

pip-audit calls packages clean that its database does not know, or could not be asked about. Here
they count as not checked, and not checked is a failure.
"""

import json
import subprocess
import sys

from pipeline.common.text import printable
from tests.packages.locks import LOCKS, locked

ADVICE = "check the network and its proxy, then run make audit-packages again"


def main() -> int:
    """Print each vulnerability, or one line. Return 0 if all packages are checked and clean."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off"]
    command += [word for lock in LOCKS for word in ("--requirement", str(lock))]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError):
        *_, reason = done.stderr.strip().splitlines() or ["it printed nothing"]
        print(f"error: nothing was checked: {printable(reason, 300)}; {ADVICE}", file=sys.stderr)
        return 1
    found = [(one, fault) for one in packages for fault in one.get("vulns", [])]
    for one, fault in found:
        fixes = ", ".join(fault["fix_versions"]) or "no version yet"
        print(printable(f"{one['name']} {one['version']}: {fault['id']}, fixed in {fixes}", 300))
    checked = {one["name"] for one in packages if "skip_reason" not in one}
    unchecked = sorted(locked().keys() - checked)
    if unchecked:
        print(
            f"error: {len(unchecked)} of {len(locked())} packages were not checked, because "
            f"pip-audit's database could not be reached or does not know them: "
            f"{printable(', '.join(unchecked), 300)}; {ADVICE}",
            file=sys.stderr,
        )
    elif not found:
        print(f"{len(checked)} packages checked, no known vulnerabilities")
    return int(bool(found or unchecked))


if __name__ == "__main__":
    sys.exit(main())
