"""Collects the data of the cost curves from trainings: cost_curves.csv, which curves.py draws.

`python -m tests.bench.cost_data notebook fast quick=runs/<id> --digits data/practice
--runs runs/<id>` collects the trainings of tests.bench.race, or every history.csv in a folder,
which is a run's or a peer's from tests.bench.peer. Each run of --runs becomes one point: the wall
time of all its members' training, and the accuracy of its ensemble, with folds on all labelled
rows.
"""

import argparse
from pathlib import Path

import pandas as pd

from pipeline.common.files import write_text
from pipeline.runs import Run, RunStore
from tests.bench.curves import COLUMNS, DATA
from tests.bench.race import results

HEADER = "# Accuracy against time, one line an epoch; tests/bench/curves.py draws this.\n"


def of_history(side: str, training: int, history: pd.DataFrame) -> pd.DataFrame:
    """Return the epochs of one history: minutes from the start, and validation accuracy."""
    minutes = (history["seconds"].cumsum() / 60).round(3)
    accuracy = history["val_accuracy"].round(5)
    return pd.DataFrame(
        {"side": side, "training": training, "minutes": minutes, "val_accuracy": accuracy}
    )


def of_run(run: Run) -> pd.DataFrame:
    """Return the one point of a run."""
    scores = run.record.scores
    if scores is None:
        raise SystemExit(f"error: run {run.id} has no scores; make ensemble RUN={run.id} adds them")
    minutes = round(run.record.timings["training_seconds"] / 60, 3)
    accuracy = round(scores.validation_accuracy, 5)
    return pd.DataFrame([[run.record.recipe_name, 0, minutes, accuracy]], columns=COLUMNS)


def _of_side(side: str, folder: str, digits: Path) -> list[pd.DataFrame]:
    """Return the trainings in `folder`, or those of the race where `folder` is empty."""
    if folder:
        paths = sorted(Path(folder).rglob("history.csv"))
        missing = f"{folder} holds no history.csv"
    else:
        paths = sorted(results(side, digits).glob("*.csv"))
        missing = f"{side} has not been trained; run python -m tests.bench.race {side} first"
    if not paths:
        raise SystemExit(f"error: {missing}")
    return [of_history(side, number, pd.read_csv(path)) for number, path in enumerate(paths)]


def main() -> None:
    """Write the data of all sides and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", nargs="+", help="what tests.bench.race trained, or name=folder")
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="folders of runs")
    parser.add_argument("--output", type=Path, default=DATA)
    arguments = parser.parse_args()
    parts = []
    for side in arguments.sides:
        name, _, folder = side.partition("=")
        parts += _of_side(name, folder, arguments.digits)
    parts += [of_run(RunStore(folder.parent).find(folder.name)) for folder in arguments.runs]
    write_text(arguments.output, HEADER + pd.concat(parts).to_csv(index=False))
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
