"""Run the benchmarks, print the ratios and write them to runs/bench/<time>.json."""

import json
import os
import platform
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import files, mnist, provenance, quiet, recipe
from pipeline.digits import Digits
from pipeline.sources import MNIST_FOLDER

with quiet.startup():
    from pipeline import compiling, fast_layers, hardware, networks, training
    from tests.bench import notebook

from tests.bench.members import members
from tests.bench.timing import Result, interleave

STEPS = 100
"""Batches a repeat; 6,400 images are some seconds of training."""


def augmentation(rows: Digits, scaled: NDArray[np.float32]) -> Result:
    """Batches of warped images: ImageDataGenerator.flow against the `warp` engine in tf.data."""
    settings = recipe.load("bn_cnn")
    batches = notebook.flow(scaled, rows.labels)
    epochs = iter(training.training_dataset(settings, rows, member=0))

    def peer() -> None:
        for _ in range(STEPS):
            next(batches)

    def ours() -> None:
        for _ in range(STEPS):
            next(epochs)

    name = "ImageDataGenerator.flow"
    return interleave("augmentation", name, STEPS * notebook.BATCH, peer, ours, repeats=7)


def training_step(rows: Digits, scaled: NDArray[np.float32], precision: str) -> Result:
    """Training the default network: the notebook's `fit` against ours, augmentation included."""
    settings = recipe.load("bn_cnn", f"training.precision={precision}")
    found = hardware.prepare(settings.training)
    plain = notebook.compiled_network()
    accelerated = fast_layers.accelerate(networks.build("bn_cnn"), found.precision)
    ours_network = compiling.compile_network(accelerated, settings, found.xla)

    def peer() -> None:
        plain.fit(notebook.flow(scaled, rows.labels), epochs=1, verbose=0)

    def ours() -> None:
        batches = training.training_dataset(settings, rows, member=0)
        ours_network.fit(batches, epochs=1, steps_per_epoch=STEPS, shuffle=False, verbose=0)

    name = "the notebook's loop in plain Keras"
    claim = f"training step of bn_cnn, {found.describe()}"
    return interleave(claim, name, STEPS * notebook.BATCH, peer, ours, repeats=5)


def main() -> None:
    """Run all benchmarks on the same 6,400 rows of MNIST."""
    images, labels = mnist.read(MNIST_FOLDER)
    count = STEPS * notebook.BATCH
    rows = Digits(images=images[:count].reshape(-1, 28, 28, 1), labels=labels[:count])
    scaled = (rows.images / 255).astype(np.float32)
    results = []
    benchmarks = [
        partial(augmentation, rows, scaled),
        partial(training_step, rows, scaled, "auto"),
        partial(training_step, rows, scaled, "float32"),
        partial(members, "serial", "processes"),
        partial(members, "processes", "ray"),
    ]
    for benchmark in benchmarks:
        results.append(benchmark())
        print(results[-1], flush=True)
    path = Path("runs/bench") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    record = {
        "results": [result.record() for result in results],
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "versions": provenance.versions(),
        "git": provenance.git_state(),
    }
    files.write_text(path, json.dumps(record, indent=2) + "\n")
    print(f"written to {path}")


main()
