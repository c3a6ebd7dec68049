"""What the benchmark `experiment` makes of predictions, and what it writes into the log."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench.experiment import Probabilities, Side, describe
from tests.bench.log_entries import expect, record

LABELS: NDArray[np.uint8] = np.tile(np.arange(10, dtype=np.uint8), 100)


def predicted(*wrong: range) -> Probabilities:
    """Return the probabilities of seeds that are sure and wrong on these rows, half sure else."""
    found = np.full((len(wrong), len(LABELS), 10), 0.05, np.float32)
    for seed, rows in enumerate(wrong):
        found[seed, np.arange(len(LABELS)), LABELS] = 0.55
        found[seed, rows] = np.eye(10)[(LABELS[rows] + 1) % 10]
    return found


def test_single_networks_and_their_mean_are_judged_apart() -> None:
    # Seeds of A fail on the same 40 rows. Each seed of B fails on ten rows of its own.
    a = predicted(*[range(40)] * 4)
    b = predicted(*[range(start, start + 10) for start in range(500, 900, 100)])
    lines = describe([Side("quick"), Side("quick training.epochs=3")], [a, b], LABELS).split("\n")
    assert lines[0].startswith("A: `quick`. B: `quick training.epochs=3`. Commit ")
    assert lines[1].startswith(
        "Single networks, errors in 1,000 rows: A 40.0 (40, 40, 40, 40), B 10.0 (10, 10, 10, 10); "
        "B makes -75.0 % errors (95 % interval -"
    )
    # Three seeds that are right with 0.55 do not outvote one that is wrong with 1: 0.41 and 0.29.
    assert lines[2].startswith("Mean of 4: A 40, B 0; only A is right on 0 rows, only B on 40; p =")
    assert lines[3] == "Decision: B is better, taken."


def test_a_difference_that_chance_explains_is_not_taken() -> None:
    a, b = (predicted(*[range(start, start + 20) for start in starts]) for starts in PAIRS)
    assert describe([Side("quick"), Side("fast")], [a, b], LABELS).endswith(
        "Decision: no difference seen, not taken."
    )


PAIRS = ((0, 5, 10, 15), (1, 4, 11, 16))


def test_an_experiment_has_the_folds_and_seeds_of_all_of_them() -> None:
    members = Side("fast training.epochs=5").recipe.members
    assert (members.folds, members.seeds, members.needed) == (2, 4, 8)
    assert Side("fast training.epochs=5").recipe.training.epochs == 5


def test_the_expectation_stands_in_the_log_before_the_figures(tmp_path: Path) -> None:
    log = tmp_path / "LOG.md"
    log.write_text("# Log\n\n20 rows.\n\n1. **Old.** Expected: much.\n   Nothing.\n")
    expect("Wider", "fewer errors", log)
    expect("Wider", "fewer errors", log)  # a command that continues
    before = log.read_text()
    assert before.endswith("\n\n2. **Wider.** Expected: fewer errors.\n    Not done yet.\n")
    expect("Deeper", "more errors", log)
    record("Wider", "A 4, B 3.\nDecision: none.", log)
    assert log.read_text().endswith(
        "2. **Wider.** Expected: fewer errors.\n    A 4, B 3.\n    Decision: none.\n\n"
        "3. **Deeper.** Expected: more errors.\n    Not done yet.\n"
    )
    assert log.read_text().startswith("# Log\n\n20 rows.\n\n1. **Old.** Expected: much.\n   N")


def test_an_expectation_is_not_changed_afterwards(tmp_path: Path) -> None:
    log = tmp_path / "LOG.md"
    log.write_text("1. **Wider.** Expected: fewer errors.\n    A 4, B 3.\n")
    with pytest.raises(SystemExit, match="'Wider' with another expectation"):
        expect("Wider", "more errors", log)
    with pytest.raises(SystemExit, match="no entry 'Deeper'"):
        record("Deeper", "A 4, B 3.", log)
