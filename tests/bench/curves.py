"""Cost curves: validation accuracy against minutes of training, as a picture and as a table.

`python -m tests.bench.curves` draws cost_curves.png from cost_curves.csv and prints the table. It
measures nothing; tests.bench.cost_data collects the CSV. The trainings of a side are lines of one
colour and style, and the table has their medians. A training with a single epoch is a point.
"""

import argparse
import math
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from pipeline.common.files import sha256

DATA = Path(__file__).with_name("cost_curves.csv")
PICTURE = DATA.with_suffix(".png")
COLUMNS = ["side", "training", "minutes", "val_accuracy"]

STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "linestyle": "-"},
    {"color": "#D55E00", "linestyle": "-"},
    {"color": "#009E73", "linestyle": "--"},
    {"color": "#CC79A7", "linestyle": "-"},
    {"color": "#E69F00", "linestyle": "--"},
    {"color": "#56B4E9", "linestyle": ":"},
)
"""The palette of Okabe and Ito, whose colours colour-blind people can tell apart, and dashes."""

POINT: dict[str, Any] = {"color": "black", "marker": "*", "markersize": 11, "linestyle": ""}

MEANING = {
    "notebook": "the tutorial's notebook, in plain Keras",
    "fast": "recipe fast: a small network of our own, 8 epochs",
    "bn_cnn": "recipe bn_cnn, the default: the notebook's network in our loop",
    "quick": "recipe quick: a small network for first looks",
    "fifteen": "one of Chris Deotte's 15 CNNs, in plain Keras",
    "champion": "recipe champion: the mean of ten networks, time of all ten",
}
"""What a side is, for the picture's legend."""

WORST, BEST = 0.98, 0.9972
TICKS = (0.98, 0.985, 0.99, 0.992, 0.993, 0.994, 0.995, 0.996, 0.997)
"""The ends of the picture's scale, and its labelled accuracies."""

MILESTONES = (0.98, 0.99, 0.993, 0.995)
"""The validation accuracies for which the table has the minutes."""


def read(path: Path = DATA) -> pd.DataFrame:
    """Return the data: lines that begin with # explain it."""
    return pd.read_csv(path, comment="#")


def draw(data: pd.DataFrame) -> Figure:
    """Draw the best accuracy so far of each training, and a star for a training of one epoch."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    styles, lines = iter(STYLES), []
    for side, rows in data.groupby("side", sort=False):
        trainings = [epochs for _, epochs in rows.groupby("training")]
        look = POINT if len(rows) == len(trainings) else next(styles)
        for epochs in trainings:
            _draw(axes, epochs, look)
        noun = "training" if len(trainings) == 1 else "trainings"
        label = f"{side}: {MEANING.get(str(side), side)} ({len(trainings)} {noun})"
        lines.append(Line2D([], [], label=label, **look))
        best = max(trainings, key=lambda epochs: float(epochs["val_accuracy"].max()))
        end = (best["minutes"].iloc[-1], 1 - best["val_accuracy"].max())
        style = {"color": look["color"], "weight": "bold", "size": 9, "va": "center"}
        axes.annotate(str(side), end, (6, 0), textcoords="offset points", **style)
    axes.set(xscale="log", yscale="log", xlabel="minutes of training, on two processor cores")
    axes.set(ylabel="validation accuracy, best so far (%)", ylim=(1 - WORST, 1 - BEST))
    axes.set_xlim(right=2 * data["minutes"].max())  # room for the names
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_locator(FixedLocator([1 - tick for tick in TICKS]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.6g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    figure.legend(handles=lines, loc="outside lower center", fontsize=9)
    return figure


def _draw(axes: Axes, epochs: pd.DataFrame, look: dict[str, Any]) -> None:
    """Draw one training: a step where an epoch is the best so far, the first one from below."""
    minutes, errors = epochs["minutes"], 1 - epochs["val_accuracy"].cummax()
    if len(epochs) > 1:
        minutes, errors = pd.concat([minutes[:1], minutes]), pd.concat([pd.Series([1.0]), errors])
    axes.plot(minutes, errors, drawstyle="steps-post", **look)


def save(data: Path, picture: Path) -> None:
    """Draw `data` to the PNG `picture`, which records the SHA-256 of its data."""
    draw(read(data)).savefig(picture, dpi=120, metadata={"Source": sha256(data)})


def table(data: pd.DataFrame) -> str:
    """Return, as Markdown, the median minutes to each milestone and to the end of training.

    The accuracies are medians of the best and of the last epochs of a side's trainings. A dash
    means that at least half of them never reached the milestone, or that only the end is known.
    """
    ends = ["best epoch", "last", "minutes", "trainings"]
    header = ["", *(f"{milestone:.1%}" for milestone in MILESTONES), *ends]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for side, rows in data.groupby("side", sort=False):
        trainings = [epochs for _, epochs in rows.groupby("training")]
        best = statistics.median(one["val_accuracy"].max() for one in trainings)
        last = statistics.median(one["val_accuracy"].iloc[-1] for one in trainings)
        total = statistics.median(one["minutes"].iloc[-1] for one in trainings)
        start = [*(_median_minutes(trainings, one) for one in MILESTONES), f"{best:.5f}"]
        if len(rows) == len(trainings):
            start = ["-"] * len(start)
        lines.append([str(side), *start, f"{last:.5f}", f"{total:.1f}", str(len(trainings))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _median_minutes(trainings: list[pd.DataFrame], milestone: float) -> str:
    """Return the median minutes until a training reaches `milestone`."""
    reached = [one["minutes"][one["val_accuracy"] >= milestone] for one in trainings]
    median = statistics.median(minutes.min() if len(minutes) else math.inf for minutes in reached)
    return "-" if math.isinf(median) else f"{median:.1f}"


def main() -> None:
    """Write the picture and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--output", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    save(arguments.data, arguments.output)
    print(f"{table(read(arguments.data))}\nwrote {arguments.output}")


if __name__ == "__main__":
    main()
