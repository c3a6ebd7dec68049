"""How long `make report` takes for many runs, and how large its page is.

`python -m tests.bench.report --runs runs --data data` copies the finished runs in turn, under other
ids, seeds and batch sizes, until there are 200, and writes the page of the copies.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.commands import REPOSITORY, plain_environment

_SEEDS = 4  # runs of each copied recipe


def copy_runs(runs: Path, copies: Path, count: int) -> None:
    """Copy the runs in the folder `runs` into `copies`, without their checkpoints."""
    folders = sorted(path.parent for path in runs.glob("*/run.json"))
    if not folders:
        raise SystemExit(f"{runs}: has no runs to copy")
    for number in range(count):
        original = folders[number % len(folders)]
        name, turn = f"{original.name}-{number}", number // len(folders)
        shutil.copytree(original, copies / name, ignore=shutil.ignore_patterns("*.keras"))
        record = json.loads((original / "run.json").read_text())
        record |= {"id": name}
        if "recipe" in record:  # an average has none
            record["seed"] = record["recipe"]["seed"] = turn % _SEEDS
            record["recipe"]["training"]["batch_size"] += 8 * (turn // _SEEDS)
        (copies / name / "run.json").write_text(json.dumps(record))


def main() -> None:
    """Print the seconds and the size of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        root = Path(name)
        (root / "data").symlink_to(options.data.resolve())
        copy_runs(options.runs, root / "runs", options.count)
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "pipeline", "report", "--root", name],
            env=plain_environment(),
            cwd=REPOSITORY,
            check=True,
        )
        seconds = time.monotonic() - began
        megabytes = (root / "runs" / "report.html").stat().st_size / 1e6
    print(f"{options.count} runs: {seconds:.1f} s, {megabytes:.1f} MB")


if __name__ == "__main__":
    main()
