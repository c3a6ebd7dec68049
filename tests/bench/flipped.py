"""How many labels that were flipped at random does `make audit` find?

`python -m tests.bench.flipped --digits data/practice --root <folder>` flips 100 labels of
train.csv to another digit each, trains the recipe `fast` in five folds on it, and counts them among
the first rows of audit.csv. They are also counted as cleanlab's "normalized margin" would order the
rows: by the label's probability minus that of the most probable other digit. The folder keeps the
data and the run, so that it can be continued.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common.files import replacing
from pipeline.evaluation.audit import suspects
from pipeline.runs import RunStore

FLIPPED = 100
FIRST = (100, 150, 200)
SETTINGS = "members.folds=5"


def flip(source: Path, target: Path, seed: int) -> NDArray[np.int64]:
    """Write the two CSVs of `source` to `target` with flipped labels. Return the flipped rows."""
    table = pd.read_csv(source / "train.csv")
    random = np.random.default_rng(seed)
    rows = random.choice(len(table), FLIPPED, replace=False)
    table.loc[rows, "label"] = (table.loc[rows, "label"] + random.integers(1, 10, FLIPPED)) % 10
    for name, content in (("train.csv", table), ("test.csv", pd.read_csv(source / "test.csv"))):
        with replacing(target / name) as temporary:
            content.to_csv(temporary, index=False)
    return np.asarray(rows)


def main() -> None:
    """Flip, train, audit, and print how many flipped rows are among the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = (arguments.root / f"flipped-{arguments.seed}").resolve()
    rows = flip(arguments.digits, data, arguments.seed)
    common = ["--source", str(data), "--root", str(arguments.root)]
    program = [sys.executable, "-m", "pipeline"]
    subprocess.run(
        [*program, "ensemble", "--recipe", "fast", "--set", SETTINGS, *common], check=True
    )
    subprocess.run([*program, "audit", *common], check=True)
    (run,) = [
        one for one in RunStore(arguments.root / "runs").all() if one.record.source == str(data)
    ]
    table = suspects.read(run)
    assert table is not None, "make audit has written it"
    contradicted = table["predicted"] != table["label"]
    # The margin is above 0 where the label is the most probable digit: such rows come last.
    margin = (table["label_probability"] - table["probability"]).where(contradicted, 1)
    by_margin = table.loc[margin.sort_values(kind="stable").index, "row"]
    print(f"labels flipped with seed {arguments.seed}, trained with seed {run.training.seed}")
    for first in FIRST:
        found, others = (np.isin(one[:first], rows).sum() for one in (table["row"], by_margin))
        print(
            f"{found} of {FLIPPED} flipped labels are among the first {first} of {len(table):,} "
            f"(by the margin {others})"
        )
    named = table.loc[table["suspicious"], "row"]
    print(f"cleanlab names {len(named)} rows, {np.isin(named, rows).sum()} of them flipped")


if __name__ == "__main__":
    main()
