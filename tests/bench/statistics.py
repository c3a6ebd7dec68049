"""Do the intervals cover, and do the tests reject, as often as they claim? By simulation.

`python -m tests.bench.statistics [--trials 2000] [--table NAME ...]` prints the tables of
docs/comparing.md as Markdown. Every share has its Monte Carlo error (one standard error). On
42,000 rows it takes a quarter of the trials, and in slow tables half or a quarter. True accuracies
are known, because digits_by_chance.py makes the answers up.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from pipeline.evaluation.statistics import calibration
from pipeline.evaluation.statistics.accuracy import mean_accuracy_interval
from pipeline.evaluation.statistics.difference import difference, p_values_of_pairs
from pipeline.evaluation.statistics.many import against_best, holm
from pipeline.evaluation.statistics.power import rows_needed, seeds_needed
from tests.bench.digits_by_chance import Chance, probabilities_of

ROWS = 6300, 42_000
DEVIATIONS = 0.0, 0.0003, 0.001
SEEDS = (1, 1), (2, 2), (3, 3), (5, 5), (2, 3), (1, 3)
BETTER = 0.0015
"""The true difference of two recipes where one is better."""


def settings(trials: int) -> Iterator[tuple[Chance, str, int]]:
    """Yield each setting with its name and its number of trials."""
    for rows in ROWS:
        for deviation in DEVIATIONS:
            chance = Chance(rows, deviation=deviation)
            yield chance, f"{rows:,} | {deviation}", trials if rows == ROWS[0] else trials // 4


def differences(trials: int) -> None:
    """Print how often `difference` rejects, with no true difference and with one, and covers."""
    print(
        "| rows | seed deviation | seeds | rejects, no difference | covers 0 | "
        f"covers {BETTER} | rejects, {BETTER} |\n|--:|--:|--:|--:|--:|--:|--:|"
    )
    for chance, name, count in settings(trials):
        for seeds in SEEDS:
            rejects, covers = np.zeros(2), np.zeros(2)
            for _ in range(count):
                for number, better in enumerate((0.0, BETTER)):
                    found = difference(*chance.recipes(seeds, better))
                    rejects[number] += found.p_value < 0.05
                    covers[number] += found.interval.low <= better <= found.interval.high
            shares = rejects[0], covers[0], covers[1], rejects[1]
            cells = " | ".join(share(float(one), count) for one in shares)
            print(f"| {name} | {seeds[0]} and {seeds[1]} | {cells} |", flush=True)


def unequal(trials: int) -> None:
    """Print how often `difference` rejects where only the first recipe's seeds differ."""
    print("| rows | seeds | rejects, no difference |\n|--:|--:|--:|")
    for rows in ROWS:
        count = trials if rows == ROWS[0] else trials // 4
        for seeds in ((2, 2), (3, 3), (5, 5), (2, 5), (5, 2), (1, 3), (3, 1)):
            chance, found = Chance(rows), 0
            for _ in range(count):
                found += difference(*chance.recipes(seeds, deviation=(0.001, 0.0))).p_value < 0.05
            print(f"| {rows:,} | {seeds[0]} and {seeds[1]} | {share(found, count)} |", flush=True)


def accuracies(trials: int) -> None:
    """Print how often `mean_accuracy_interval` covers the accuracy of the recipe."""
    numbers = 1, 2, 3, 5
    print("| rows | seed deviation | " + " | ".join(f"{one} seeds" for one in numbers) + " |")
    print("|--:" * (2 + len(numbers)) + "|")
    for chance, name, count in settings(trials):
        cells = []
        for seeds in numbers:
            covered = 0
            for _ in range(count):
                low, high = mean_accuracy_interval(*chance.recipes([seeds]))
                covered += low <= chance.accuracy <= high
            cells.append(share(covered, count))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def families(trials: int) -> None:
    """Print how often one of k equally good recipes is told from the best of them."""
    print(
        "| seeds | seed deviation | k | not corrected | Holm, k - 1 | Holm, all pairs |\n"
        "|--:|--:|--:|--:|--:|--:|"
    )
    for seeds, deviation in ((1, 0.0), (3, 0.0003)):
        chance = Chance(ROWS[0], deviation=deviation)
        for k in (3, 5, 10):
            found = np.zeros(3)
            for _ in range(trials // 2):
                correct = chance.recipes([seeds] * k)
                best = int(np.argmax([one.mean() for one in correct]))
                p_values = p_values_of_pairs(correct, [False] * len(correct))
                others = np.delete(p_values[best], best)
                lowest = others.min(), holm(others).min(), against_best(p_values, best).min()
                found += np.array(lowest) < 0.05
            cells = " | ".join(share(float(one), trials // 2) for one in found)
            print(f"| {seeds} | {deviation} | {k} | {cells} |", flush=True)


def probabilities(trials: int) -> None:
    """Print how often the intervals of log loss and calibration error cover."""
    print(
        "| rows | network | true calibration error | mean estimate | its interval covers | "
        "log loss's interval covers |\n|--:|---|--:|--:|--:|--:|"
    )
    names = {1.0: "calibrated", 1.2: "too sure", 0.8: "not sure enough"}
    for rows in ROWS:
        count = trials // 2 if rows == ROWS[0] else trials // 8
        for sureness, name in names.items():
            labels, stated = probabilities_of(400_000, seed=1, sureness=sureness, margin=3.0)
            true_loss = calibration.mean_log_loss(labels, stated)
            true_error = 0.0 if sureness == 1 else calibration.calibration_error(labels, stated)
            generator, covered, estimates = np.random.default_rng(2), np.zeros(2), []
            for _ in range(count):
                sample = generator.integers(0, len(labels), rows)
                those = labels[sample], stated[sample]
                estimates.append(calibration.calibration_error(*those))
                for number, (interval, true) in enumerate(
                    (
                        (calibration.calibration_error_interval(*those), true_error),
                        (calibration.log_loss_interval(*those), true_loss),
                    )
                ):
                    covered[number] += interval.low <= true <= interval.high
            cells = " | ".join(share(float(one), count) for one in covered)
            figures = f"{true_error:.5f} | {np.mean(estimates):.5f}"
            print(f"| {rows:,} | {name} | {figures} | {cells} |", flush=True)


def powers(trials: int) -> None:
    """Print how often a difference is found with the rows, or seeds, that were said to be needed.

    What is needed is computed from a sample so large that it shows the true difference.
    """
    print("| seed deviation | seeds | difference | needed | finds it |\n|--:|--:|--:|--:|--:|")
    count = trials // 4
    for better in (0.001, 0.002):
        chance = Chance(300_000)
        seen = replace(difference(*chance.recipes((1, 1), better)), difference=better)
        rows = rows_needed(seen)
        assert rows is not None
        found = found_share(Chance(rows), (1, 1), better, count)
        print(f"| 0 | 1 and 1 | {better} | {rows:,} rows | {found} |", flush=True)
        for deviation in DEVIATIONS:
            chance = Chance(ROWS[0], deviation=deviation)
            several = [difference(*chance.recipes((40, 40), better)) for _ in range(20)]
            needed = [seeds_needed(replace(one, difference=better)) for one in several]
            seeds = typical(needed)
            name = f"| {deviation} | | {better} |"
            if seeds is None:
                print(f"{name} no number of seeds | |", flush=True)
                continue
            found = found_share(chance, (seeds, seeds), better, count)
            print(f"{name} {seeds} seeds each | {found} |", flush=True)


def typical(needed: list[int | None]) -> int | None:
    """Return the median; None counts as the largest."""
    ordered = sorted(math.inf if one is None else one for one in needed)
    middle = ordered[len(ordered) // 2]
    return None if middle == math.inf else int(middle)


def found_share(chance: Chance, seeds: tuple[int, int], better: float, trials: int) -> str:
    """Return in what share of the trials the difference is found."""
    found = sum(difference(*chance.recipes(seeds, better)).p_value < 0.05 for _ in range(trials))
    return share(found, trials)


def share(found: float, trials: int) -> str:
    """Return a share in percent with its Monte Carlo error."""
    part = found / trials
    return f"{100 * part:.1f} ± {100 * math.sqrt(part * (1 - part) / trials):.1f}"


TABLES: dict[str, Callable[[int], None]] = {
    "differences": differences,
    "unequal": unequal,
    "accuracies": accuracies,
    "families": families,
    "probabilities": probabilities,
    "powers": powers,
}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--table", nargs="+", choices=TABLES, default=list(TABLES))
    arguments = parser.parse_args()
    for name in arguments.table:
        print(f"\n{name}, {arguments.trials} trials, in percent\n", flush=True)
        TABLES[name](arguments.trials)


if __name__ == "__main__":
    main()
