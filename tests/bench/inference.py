"""Labels for 28,000 digits from five checkpoints: ours against five calls of `Model.predict`.

A side with `predict_on_batch`, which has no tf.data, shows what of `predict`'s time is that.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline import recipe
from pipeline.common.progress import ignore
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from pipeline.data.digits import Digits
from pipeline.prediction import ensemble
from pipeline.prediction.predictor import Predictor, load_checkpoint
from pipeline.recipe import PredictionSettings
from pipeline.training import hardware
from tests.alone import Alone
from tests.bench.timing import Result, interleave, rate_of

ROWS, CHECKPOINTS = 28_000, 5
TRAINING_ROWS, EPOCHS = 6_400, 12
BATCH = 250
PEER = "the notebook's"

Predict = Callable[[keras.Model, NDArray[np.floating]], NDArray[np.floating]]


def inference() -> Result:
    """Time all sides on checkpoints of bn_cnn, and print how far their labels agree.

    Loading the checkpoints counts on every side.
    """
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    images = images.reshape(-1, 28, 28, 1)
    training = Digits(images[-TRAINING_ROWS:], labels[-TRAINING_ROWS:])
    tests, precision = images[:ROWS], hardware.prediction_precision(PredictionSettings())
    found: dict[str, NDArray[np.floating]] = {}
    with TemporaryDirectory() as name:
        paths = _checkpoints(training, Path(name))
        scaled = tests / 255  # float64, as the notebook has it
        single = scaled.astype(np.float32)

        def peer(name: str, rows: NDArray[np.floating], predict: Predict) -> None:
            networks = [keras.saving.load_model(path) for path in paths]
            found[name] = np.mean([predict(network, rows) for network in networks], axis=0)

        def ours(chosen: str) -> None:
            (found[chosen],) = ensemble.predict(paths, [tests], chosen, ignore)

        works = {
            "five calls of Model.predict, float64": partial(peer, PEER, scaled, _plainly),
            f"the same, float32, batches of {BATCH}": partial(peer, "large", single, _by_batches),
            f"predict_on_batch, float32, {BATCH}": partial(peer, "bare", single, _without_tf_data),
            "ours, float32": partial(ours, "float32"),
            f"ours, {precision}": partial(ours, precision),
        }
        claim = f"prediction of {ROWS:,} rows with {CHECKPOINTS} checkpoints of bn_cnn"
        unit = "rows x checkpoints/s"
        sides = {name: rate_of(work, ROWS * CHECKPOINTS) for name, work in works.items()}
        result = interleave(claim, unit, sides, repeats=3)
        notes = _agreement(found, paths, tests, precision)
    return replace(result, notes=notes)


def _plainly(network: keras.Model, rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(network.predict(rows, verbose=0))


def _by_batches(network: keras.Model, rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(network.predict(rows, batch_size=BATCH, verbose=0))


def _without_tf_data(network: keras.Model, rows: NDArray[np.floating]) -> NDArray[np.floating]:
    starts = range(0, len(rows), BATCH)
    return np.concatenate(
        [network.predict_on_batch(rows[start : start + BATCH]) for start in starts]
    )


def _checkpoints(rows: Digits, folder: Path) -> list[Path]:
    """Train until the first epochs, whose moving averages still lag, are not among the best."""
    settings = recipe.load(
        "bn_cnn", f"training.epochs={EPOCHS} checkpoints.keep_best={CHECKPOINTS}"
    )
    validation = Digits(rows.images[:1_000], rows.labels[:1_000])
    alone = Alone(folder)
    alone.train(settings, rows, validation)
    return sorted((alone.folder / "checkpoints").iterdir())


def _agreement(
    found: dict[str, NDArray[np.floating]],
    paths: list[Path],
    tests: NDArray[np.uint8],
    precision: str,
) -> tuple[str, ...]:
    """Say how many labels differ from the peer's, and how far bfloat16 moves a probability."""
    lines = []
    for name in dict.fromkeys(["float32", precision]):
        other = (found[name].argmax(axis=1) != found[PEER].argmax(axis=1)).sum()
        change = abs(found[name] - found[PEER]).max()
        lines.append(
            f"{name}: {other} of {ROWS:,} labels differ, probabilities by at most {change:.1e}"
        )
    changes = []
    for path in paths:
        network = load_checkpoint(path)
        exact, fast = (Predictor(network, name)(tests) for name in ("float32", precision))
        changes.append(abs(exact - fast).max())
    return (*lines, f"one checkpoint alone, rows in doubt too: by at most {max(changes):.1e}")
