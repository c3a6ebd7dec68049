"""Labels for 28,000 digits from five checkpoints: ours against five calls of `Model.predict`.

One side uses `predict_on_batch`, which does without tf.data. It shows how much of the time of
`predict` is tf.data's.
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
PEER = "Model.predict"

Predict = Callable[[keras.Model, NDArray[np.floating]], NDArray[np.floating]]


def inference() -> Result:
    """Time all sides on checkpoints of bn_cnn, and note how far their results agree.

    The time of every side includes loading the checkpoints.
    """
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    images = images.reshape(-1, 28, 28, 1)
    training = Digits(images[-TRAINING_ROWS:], labels[-TRAINING_ROWS:])
    tests, precision = images[:ROWS], hardware.prediction_precision(PredictionSettings())
    means: dict[str, NDArray[np.floating]] = {}
    with TemporaryDirectory() as name:
        paths = _checkpoints(training, Path(name))
        scaled = tests / 255  # float64, as in the notebook
        single = scaled.astype(np.float32)

        def peer(name: str, rows: NDArray[np.floating], predict: Predict) -> None:
            networks = [keras.saving.load_model(path) for path in paths]
            means[name] = np.mean([predict(network, rows) for network in networks], axis=0)

        def ours(precision: str) -> None:
            (means[precision],) = ensemble.predict(paths, [tests], precision, ignore)

        large_batches = partial(peer, "large batches", single, _predict_in_large_batches)
        on_batch = partial(peer, "predict_on_batch", single, _predict_on_batch)
        works = {
            "five calls of Model.predict, float64": partial(peer, PEER, scaled, _predict),
            f"Model.predict, float32, batches of {BATCH}": large_batches,
            f"predict_on_batch, float32, batches of {BATCH}": on_batch,
            "ours, float32": partial(ours, "float32"),
            f"ours, {precision}": partial(ours, precision),
        }
        claim = f"prediction of {ROWS:,} rows with {CHECKPOINTS} checkpoints of bn_cnn"
        unit = "rows x checkpoints/s"
        sides = {name: rate_of(work, ROWS * CHECKPOINTS) for name, work in works.items()}
        result = interleave(claim, unit, sides, repeats=3)
        notes = (
            *(_difference(name, means) for name in dict.fromkeys(["float32", precision])),
            _largest_change(paths, tests, precision),
        )
    return replace(result, notes=notes)


def _predict(network: keras.Model, rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(network.predict(rows, verbose=0))


def _predict_in_large_batches(
    network: keras.Model, rows: NDArray[np.floating]
) -> NDArray[np.floating]:
    return np.asarray(network.predict(rows, batch_size=BATCH, verbose=0))


def _predict_on_batch(network: keras.Model, rows: NDArray[np.floating]) -> NDArray[np.floating]:
    starts = range(0, len(rows), BATCH)
    return np.concatenate(
        [network.predict_on_batch(rows[start : start + BATCH]) for start in starts]
    )


def _checkpoints(rows: Digits, folder: Path) -> list[Path]:
    """Train for so long that the best epochs are late ones.

    In the first epochs the moving averages of batch normalization still lag.
    """
    settings = recipe.load(
        "bn_cnn", f"training.epochs={EPOCHS} checkpoints.keep_best={CHECKPOINTS}"
    )
    validation = Digits(rows.images[:1_000], rows.labels[:1_000])
    alone = Alone(folder)
    alone.train(settings, rows, validation)
    return sorted((alone.folder / "checkpoints").iterdir())


def _difference(name: str, means: dict[str, NDArray[np.floating]]) -> str:
    """Return a line that says how far our mean in a precision is from that of Model.predict."""
    labels = (means[name].argmax(axis=1) != means[PEER].argmax(axis=1)).sum()
    change = abs(means[name] - means[PEER]).max()
    return (
        f"{name}: {labels} of {ROWS:,} labels differ from those of {PEER}, probabilities by at "
        f"most {change:.1e}"
    )


def _largest_change(paths: list[Path], tests: NDArray[np.uint8], precision: str) -> str:
    """Return a line that says how far `precision` moves a probability of one checkpoint.

    No row is predicted again in float32 here, however much in doubt it is.
    """
    changes = []
    for path in paths:
        network = load_checkpoint(path)
        exact, fast = (Predictor(network, name)(tests) for name in ("float32", precision))
        changes.append(abs(exact - fast).max())
    return (
        "a single checkpoint, with no row predicted again: probabilities differ from float32 by at "
        f"most {max(changes):.1e}"
    )
