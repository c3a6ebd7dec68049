"""Keeps what a training predicts for the hidden rows, so that its paired tests can be repeated.

`python -m tests.bench.predictions champion-1 runs/<id>` writes tests/bench/predictions/
champion-1.npz: `predicted`, uint8 [28,000], and where they come from. A name ends with the
practice competition's permutation.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from pipeline.common.files import replacing
from pipeline.runs import RunStore
from tests.bench.paired import predicted

FOLDER = Path(__file__).with_name("predictions")


def main() -> None:
    """Write the predictions of a run under a name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="such as champion-1, with the practice seed at the end")
    parser.add_argument("run", type=Path, help="the folder of a run that has its test.npz")
    arguments = parser.parse_args()
    run = RunStore(arguments.run.parent).get(arguments.run.name)
    seed = run.record.practice_seed
    if run.record.source != "practice" or not re.fullmatch(rf"[a-z_]+-{seed}", arguments.name):
        raise SystemExit(
            f"error: run {run.id} is of {run.record.source}, seed {seed}, and the name "
            f"{arguments.name}; it must be of practice, with a name such as champion-{seed}"
        )
    digits = predicted(run.load_arrays("test")).astype(np.uint8)
    with replacing(FOLDER / f"{arguments.name}.npz") as temporary:
        np.savez_compressed(
            temporary, predicted=digits, run=run.id, commit=str(run.record.git["commit"])
        )


if __name__ == "__main__":
    main()
