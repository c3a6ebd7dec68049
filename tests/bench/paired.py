"""Two ensembles on the hidden rows of one practice competition: accuracies and the paired test.

`python -m tests.bench.paired runs/<id>/test.npz <peer's folder>/test.npz --digits data/practice`
reports only: nothing of the pipeline is chosen by it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.competitions.practice.scorer import HIDDEN_FILE
from pipeline.evaluation import scores


def main() -> None:
    """Print each one's accuracy with its interval, and McNemar's exact test between them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs=2, type=Path, help="test.npz with `probabilities`")
    parser.add_argument("--digits", type=Path, required=True)
    asked = parser.parse_args()
    labels = pd.read_csv(asked.digits / HIDDEN_FILE)["Label"].to_numpy()
    right = []
    for path in asked.files:
        with np.load(path) as stored:
            probabilities = stored["probabilities"]
        accuracy, interval = scores.accuracy_with_interval(labels, probabilities)
        right.append(probabilities.argmax(axis=1) == labels)
        print(
            f"{path}: {accuracy:.5f} on {len(labels):,} hidden rows "
            f"(95 % interval {interval.low:.5f} to {interval.high:.5f})"
        )
    test = scores.mcnemar_exact(*right)
    print(
        f"only the first is right on {test.only_a}, only the second on {test.only_b}; "
        f"McNemar's exact test p = {test.p_value:.4f}"
    )


if __name__ == "__main__":
    main()
