"""How much too high is a validation accuracy whose rows also chose the checkpoints?

`python -m tests.bench.optimism --folder <new folder> [--recipe quick bn_cnn] [--seeds 3]` trains
each recipe on the practice digits with every epoch kept, and prints the optimism that
pipeline/evaluation/statistics/optimism.py finds. Runs that are done are used again, so that a
command that was ended goes on. quick takes a minute a seed, bn_cnn ten and more.

The rate and the end of the training still depend on all validation rows. So the figure is about the
choice of checkpoints alone.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.digits import read_train, select
from pipeline.data.split import hold_out
from pipeline.evaluation.statistics.optimism import optimism
from pipeline.prediction.predictor import Predictor, load_checkpoint
from pipeline.runs import Run
from pipeline.runs.store import RunStore
from tests.commands import REPOSITORY

RECIPES = {"quick": (14, 3), "bn_cnn": (50, 5)}
"""The most epochs of a recipe, and how many of the best it averages."""


def train(folder: Path, recipe: str, seed: int) -> Run:
    """Train a recipe with all epochs kept, and return the run."""
    epochs, _ = RECIPES[recipe]
    command = [sys.executable, "-m", "pipeline", "train", "--source", "practice"]
    command += ["--recipe", recipe, "--seed", str(seed), "--set", f"checkpoints.keep_best={epochs}"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)
    (run,) = (
        run
        for run in RunStore(folder / "runs").all()
        if (run.record.recipe_name, run.training.seed) == (recipe, seed)
        and run.record.status == "done"
    )
    return run


def predictions(folder: Path, run: Run) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the validation labels and every epoch's probabilities, [epochs, rows, 10]."""
    digits = read_train(folder / "data" / "practice" / "train.csv")
    settings = run.training.recipe.split
    split = hold_out(
        digits.labels, settings.validation_fraction, settings.seed, run.record.data_fingerprint
    )
    rows = select(digits, split.validation_rows)
    paths = sorted(run.checkpoint_paths())  # their names begin with the epoch
    each = [Predictor(load_checkpoint(path))(rows.images) for path in paths]
    return rows.labels, np.stack(each)


def main() -> None:
    """Print the optimism of each run and the mean of each recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for recipe in arguments.recipe:
        _, keep = RECIPES[recipe]
        means = []
        for seed in range(arguments.seeds):
            run = train(arguments.folder, recipe, seed)
            labels, probabilities = predictions(arguments.folder, run)
            found = optimism(labels, probabilities, keep)
            means.append(found.mean)
            line = {
                "recipe": recipe,
                "seed": seed,
                "epochs": len(probabilities),
                "keep": keep,
                "rows": len(labels),
                "optimism": round(found.mean, 6),
                "deviation_over_halves": round(found.deviation, 6),
            }
            print(json.dumps(line), flush=True)
        spread = f", standard deviation {np.std(means, ddof=1):.5f}" if len(means) > 1 else ""
        print(f"{recipe}: mean optimism {np.mean(means):.5f} over {len(means)} seeds{spread}")


if __name__ == "__main__":
    main()
