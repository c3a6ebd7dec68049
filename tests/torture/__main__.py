"""Tries to make the pipeline lose, leak or submit twice: `python -m tests.torture --seed 1`.

Each subject takes the number of inputs, or of kills, to try. Without any, all are tried in full.
The variables SEED and TORTURE, as in `make torture SEED=1 TORTURE="--csvs 100"`, give the same.
"""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable

from tests.torture import answers, csvs, kills, ledgers, recipes, run_files, zips
from tests.torture.verdict import Verdict

SUBJECTS: dict[str, tuple[Callable[[int, int], Verdict], int]] = {
    "csvs": (csvs.torture, 1_000),
    "zips": (zips.torture, 10_000),
    "recipes": (recipes.torture, 2_000),
    "runs": (run_files.torture, 500),
    "ledgers": (ledgers.torture, 1_000),
    "answers": (answers.torture, 1_000),
    "kills": (kills.torture, 200),
}
"""Each subject with the number of inputs in full."""


def main(words: list[str]) -> int:
    """Try what `words` ask for and print the faults and their number. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 0))
    for name, (_, full) in SUBJECTS.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"in full: {full:,}")
    given = vars(parser.parse_args(words))
    some = any(given[name] is not None for name in SUBJECTS)
    total = Verdict()
    for name, (torture, full) in SUBJECTS.items():
        count = given[name] or 0 if some else full
        if count:
            started = time.monotonic()
            verdict = torture(count, given["seed"])
            print(f"{name}: {verdict} ({time.monotonic() - started:.0f} s)", flush=True)
            for report in verdict.reports:
                print(f"--seed {given['seed']} --{name} {count}: {report}\n", flush=True)
            total.add(verdict)
    print(total)
    return int(total.faults.total() > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or shlex.split(os.environ.get("TORTURE", ""))))
