"""Cost curves: validation accuracy against minutes of training, as a picture and as a table.

`python -m tests.bench.curves notebook fast quick=runs/<id> --digits data/practice --runs runs/<id>`
draws the trainings of tests.bench.race, or every history.csv in a folder, which is a run's or a
peer's from tests.bench.peer. The trainings of a side are lines of one colour. Each run of --runs is
a point: the wall time of all its members' training, and the accuracy of its ensemble, with folds on
all labelled rows. The table has the medians of a side's trainings.
"""

import argparse
import math
import statistics
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pipeline.runs import Run, RunStore
from tests.bench.race import results, seconds_to

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The palette of Okabe and Ito, whose colours colour-blind people can tell apart."""

LEAST_ERROR = 1e-3

MILESTONES = (0.98, 0.99, 0.993, 0.995)
"""The validation accuracies for which the table has the minutes."""


def draw(histories: dict[str, list[pd.DataFrame]], runs: list[Run]) -> Figure:
    """Draw the best accuracy so far of each history, and a point for each run."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for colour, (side, seeds) in zip(COLOURS[: len(histories)], histories.items(), strict=True):
        for number, history in enumerate(seeds):
            minutes = history["seconds"].cumsum() / 60
            errors = 1 - history["val_accuracy"].cummax()
            label = side if number == 0 else None
            axes.step(minutes, errors, where="post", color=colour, label=label, alpha=0.8)
    for run in runs:
        _point(axes, run)
    axes.set(xscale="log", yscale="log", xlabel="minutes of training", ylim=(0.02, LEAST_ERROR))
    axes.set(ylabel="validation accuracy, best so far (%)")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.6g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure


def _histories(side: str, folder: str, digits: Path) -> list[pd.DataFrame]:
    """Return the histories in `folder`, or those of the race where `folder` is empty."""
    if folder:
        paths = sorted(Path(folder).rglob("history.csv"))
        missing = f"{folder} holds no history.csv"
    else:
        paths = sorted(results(side, digits).glob("*.csv"))
        missing = f"{side} has not been trained; run python -m tests.bench.race {side} first"
    if not paths:
        raise SystemExit(f"error: {missing}")
    return [pd.read_csv(path) for path in paths]


def _point(axes: Axes, run: Run) -> None:
    minutes, accuracy = _cost(run)
    axes.plot(minutes, 1 - accuracy, "k*", markersize=12, label=_name(run))


def _name(run: Run) -> str:
    return f"{run.record.recipe_name}, all members"


def _cost(run: Run) -> tuple[float, float]:
    """Return the minutes of a run's training and its ensemble's validation accuracy."""
    scores = run.record.scores
    if scores is None:
        raise SystemExit(f"error: run {run.id} has no scores; make ensemble RUN={run.id} adds them")
    return run.record.timings["training_seconds"] / 60, scores.validation_accuracy


def table(histories: dict[str, list[pd.DataFrame]], runs: list[Run]) -> str:
    """Return, as Markdown, the median minutes to each milestone and to the end of training.

    The accuracies are medians of the best and of the last epochs of a side's trainings. A dash
    means that at least half of them never reached the milestone. The runs come last, with the
    accuracies of their ensembles.
    """
    ends = ["best epoch", "last", "minutes", "trainings"]
    header = ["", *(f"{milestone:.1%}" for milestone in MILESTONES), *ends]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for side, seeds in histories.items():
        medians = [
            statistics.median(seconds_to(milestone, history) / 60 for history in seeds)
            for milestone in MILESTONES
        ]
        reached = ["-" if math.isinf(median) else f"{median:.1f}" for median in medians]
        best = statistics.median(history["val_accuracy"].max() for history in seeds)
        last = statistics.median(history["val_accuracy"].iloc[-1] for history in seeds)
        total = statistics.median(history["seconds"].sum() for history in seeds) / 60
        figures = [f"{best:.5f}", f"{last:.5f}", f"{total:.1f}", str(len(seeds))]
        lines.append([side, *reached, *figures])
    for run in runs:
        total, accuracy = _cost(run)
        dashes = ["-"] * (len(MILESTONES) + 1)
        lines.append([_name(run), *dashes, f"{accuracy:.5f}", f"{total:.1f}", "1"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write the picture and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sides", nargs="+", help="what tests.bench.race trained, or name=folder; at most six"
    )
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="folders of runs")
    parser.add_argument("--output", type=Path, default=Path("tests/bench/cost_curves.png"))
    arguments = parser.parse_args()
    sides = dict(side.partition("=")[::2] for side in arguments.sides)
    histories = {side: _histories(side, folder, arguments.digits) for side, folder in sides.items()}
    runs = [RunStore(folder.parent).find(folder.name) for folder in arguments.runs]
    draw(histories, runs).savefig(arguments.output, dpi=120)
    print(f"{table(histories, runs)}\nwrote {arguments.output}")


if __name__ == "__main__":
    main()
