"""Two ensembles on the hidden rows of one practice competition: accuracies and the paired test.

`python -m tests.bench.paired runs/<id>/test.npz <peer's folder>/test.npz --digits data/practice`
only reports. The pipeline chooses nothing by it.
"""

import argparse
from pathlib import Path

import numpy as np

from pipeline.evaluation import scores
from tests.practice.hidden import hidden_of


def main() -> None:
    """Print the accuracy of each with its interval, and McNemar's exact test of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs=2, type=Path, help="test.npz with `probabilities`")
    parser.add_argument("--digits", type=Path, required=True)
    arguments = parser.parse_args()
    labels = hidden_of(arguments.digits).labels
    correct = []
    for path in arguments.files:
        with np.load(path) as stored:
            probabilities = stored["probabilities"]
        accuracy, interval = scores.accuracy_with_interval(labels, probabilities)
        correct.append(probabilities.argmax(axis=1) == labels)
        print(
            f"{path}: {accuracy:.5f} on {len(labels):,} hidden rows "
            f"(95 % interval {interval.low:.5f} to {interval.high:.5f})"
        )
    test = scores.mcnemar_exact(*correct)
    print(
        f"only the first predicts {test.only_a} rows correctly, only the second {test.only_b}; "
        f"McNemar's exact test: p = {test.p_value:.4f}"
    )


if __name__ == "__main__":
    main()
