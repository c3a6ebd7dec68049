"""Labels for 28,000 digits from five checkpoints: ours against five calls of `Model.predict`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline import ensemble, hardware, mnist, recipe
from pipeline.digits import Digits
from pipeline.prediction import DOUBT, probabilities
from pipeline.recipe import PredictionSettings
from pipeline.sources import MNIST_FOLDER
from pipeline.training import train_member
from tests.bench.timing import Result, interleave
from tests.watching import Watching

ROWS, CHECKPOINTS = 28_000, 5
TRAINING_ROWS = 12_800


def inference() -> Result:
    """Time both sides on checkpoints of bn_cnn, and print how far their labels agree."""
    images, labels = mnist.read(MNIST_FOLDER)
    images = images.reshape(-1, 28, 28, 1)
    training = Digits(images[-TRAINING_ROWS:], labels[-TRAINING_ROWS:])
    tests, precision = images[:ROWS], hardware.prediction_precision(PredictionSettings())
    found: dict[str, NDArray[np.floating]] = {}
    with TemporaryDirectory() as name:
        paths = _checkpoints(training, Path(name))
        scaled = tests / 255  # float64, as the notebook has it

        def peer() -> None:
            networks = [keras.saving.load_model(path) for path in paths]
            found["peer"] = np.mean([one.predict(scaled, verbose=0) for one in networks], axis=0)

        def exact() -> None:
            (found["exact"],) = ensemble.predict(paths, [tests], "float32", _silent)

        def ours() -> None:
            (found["ours"],) = ensemble.predict(paths, [tests], precision, _silent)

        sides = {
            "five calls of Model.predict, float64 rows": peer,
            "ours, float32": exact,
            f"ours, {precision}": ours,
        }
        claim = f"prediction of {ROWS:,} rows with {CHECKPOINTS} checkpoints of bn_cnn"
        result = interleave(claim, ROWS * CHECKPOINTS, sides, repeats=3, warm_up=False)
        _tell_agreement(found, paths, tests, precision)
    return result


def _checkpoints(rows: Digits, folder: Path) -> list[Path]:
    settings = recipe.load("bn_cnn", f"training.epochs={CHECKPOINTS}")
    train_member(settings, rows, rows, folder, hardware.prepare(settings.training), Watching())
    return sorted((folder / "checkpoints").iterdir())


def _tell_agreement(
    found: dict[str, NDArray[np.floating]],
    paths: list[Path],
    tests: NDArray[np.uint8],
    precision: str,
) -> None:
    expected = found["peer"].argmax(axis=1)
    for name in ("exact", "ours"):
        other = (found[name].argmax(axis=1) != expected).sum()
        change = abs(found[name] - found["peer"]).max()
        print(f"  {name}: {other} of {ROWS:,} labels differ, probabilities by at most {change:.1e}")
    network = keras.saving.load_model(paths[0], compile=False)
    exact, fast = (probabilities(network, tests, name) for name in ("float32", precision))
    second, first = np.partition(exact, -2)[:, -2:].T
    sure = first - second >= DOUBT
    print(
        f"  one checkpoint: {(~sure).sum()} rows in doubt; of the others "
        f"{(exact.argmax(axis=1) != fast.argmax(axis=1))[sure].sum()} labels differ, probabilities "
        f"by at most {abs(exact - fast)[sure].max():.1e}"
    )


def _silent(line: str) -> None:
    """Take a progress line."""
