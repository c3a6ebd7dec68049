"""Runs the benchmarks, prints the ratios, and writes them to runs/bench/<time>.json.

`python -m tests.bench` runs all benchmarks, `python -m tests.bench <name> ...` those of these names
in BENCHMARKS.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import recipe
from pipeline.common import files, provenance
from pipeline.common.startup import quiet_start
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import mnist
from pipeline.data.digits import Digits

with quiet_start():
    import keras

    from pipeline import networks
    from pipeline.networks import fast_layers
    from pipeline.training import batches, hardware, objective
    from tests.bench import ceiling, notebook, processor

from tests.bench.costs import costs
from tests.bench.inference import inference
from tests.bench.members import members
from tests.bench.throughput import AUTOMATIC, recipes, throughput
from tests.bench.throughput import FLOAT32 as TRAINED_IN_FLOAT32
from tests.bench.timing import Rate, Result, interleave, rate_of

STEPS = 100
"""Batches per repeat: 6,400 images, which take some seconds of training."""

WARPS = 20 * STEPS
"""Batches per repeat for the `warp` engine alone, which take some tenths of a second."""

BUFFERED = 16
"""Batches to take before the clock starts: more than tf.data has ready by then."""

FLOAT32, BFLOAT16 = (f"{name} matrix product, GFLOP/s" for name in ("float32", "bfloat16"))


def digits() -> tuple[Digits, NDArray[np.float32]]:
    """Return the first 6,400 rows of MNIST, and their images scaled as the notebook does it."""
    images, labels = mnist.read_mnist(MNIST_FOLDER)
    count = STEPS * notebook.BATCH
    rows = Digits(images=images[:count].reshape(-1, 28, 28, 1), labels=labels[:count])
    return rows, (rows.images / 255).astype(np.float32)


def machine() -> Result:
    """Measure the highest rates of this machine, in units of 10^9 per second."""
    sides = {
        FLOAT32: lambda: ceiling.arithmetic("float32") / 1e9,
        BFLOAT16: lambda: ceiling.arithmetic("bfloat16") / 1e9,
        "copy in memory, one core, GB/s": lambda: ceiling.memory() / 1e9,
    }
    return interleave("highest rates of this machine", "", sides, repeats=5, peers={})


def augmentation() -> Result:
    """Measure batches of warped images: ImageDataGenerator.flow against `warp` in tf.data."""
    rows, scaled = digits()
    generated = iter(notebook.flow(scaled, rows.labels))
    endless = recipe.load("bn_cnn", "training.epochs=1000")
    warped = iter(batches.training_dataset(endless, rows, member=0))

    def take(source: Iterator[object], count: int) -> None:
        for _ in range(count):
            next(source)

    def ours() -> float:
        take(warped, BUFFERED)
        return rate_of(partial(take, warped, WARPS), WARPS * notebook.BATCH)()

    sides = {
        "ImageDataGenerator.flow, one thread": rate_of(
            partial(take, generated, STEPS), STEPS * notebook.BATCH
        ),
        f"warp, {batches.WARP_THREADS} threads": ours,
    }
    return interleave("augmentation", "images/s", sides, repeats=7, warm_up=True)


def training_step() -> Result:
    """Measure training of the default network in one process: the notebook's `fit` and ours."""
    rows, scaled = digits()
    plain = notebook.compiled_network()

    def peer() -> None:
        plain.fit(notebook.flow(scaled, rows.labels), epochs=1, verbose=0)

    images = STEPS * notebook.BATCH
    sides: dict[str, Rate] = {"the notebook's loop in plain Keras": rate_of(peer, images)}
    for setting in ("float32", "auto"):
        settings = recipe.load("bn_cnn", f"training.precision={setting}")
        device = hardware.prepare(settings.training)
        precision, on_cpu = device.precision, not device.gpus
        network = fast_layers.accelerate(networks.build("bn_cnn"), precision, on_cpu=on_cpu)
        objective.compile_network(network, settings.training, 1e-3, xla=False)
        sides[f"ours, {precision}"] = rate_of(partial(_train, network, settings, rows), images)
    claim = "training step of bn_cnn in one process, all cores"
    return interleave(claim, "images/s", sides, repeats=5, warm_up=True)


def _train(network: keras.Model, settings: recipe.Recipe, rows: Digits) -> None:
    dataset = batches.training_dataset(settings, rows, member=0)
    network.fit(dataset, epochs=1, steps_per_epoch=STEPS, shuffle=False, verbose=0)


def share_of_ceiling(machine: Result, throughput: Result) -> str:
    """Return what share of the machine's arithmetic rate training of the default network reaches.

    The share is that of the medians. In brackets are the shares of the machine's fastest and
    slowest repeat.
    """
    automatic = hardware.prepare(recipe.load("bn_cnn").training).precision
    ceilings = {
        TRAINED_IN_FLOAT32: FLOAT32,
        AUTOMATIC: FLOAT32 if automatic == "float32" else BFLOAT16,
    }
    lines = [
        "training of bn_cnn as a share of the matrix product's rate: medians, and the range over "
        "the repeats of the product"
    ]
    for side, ceiling_side in ceilings.items():
        reached = statistics.median(throughput.values[side]) * ceiling.FLOPS_PER_IMAGE / 1e9
        rates = machine.values[ceiling_side]
        highest = statistics.median(rates)
        share = f"{reached:,.0f} of {highest:,.0f} GFLOP/s: {reached / highest:.0%}"
        share += f" ({reached / max(rates):.0%} to {reached / min(rates):.0%})"
        lines.append(f"  {side:<46}{share:>30}")
    return "\n".join(lines)


BENCHMARKS: dict[str, Callable[[], Result | str]] = {
    "machine": machine,
    "augmentation": augmentation,
    "step": training_step,
    "throughput": throughput,
    "recipes": recipes,
    "inference": inference,
    "members": members,
    "costs": costs,
}


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all. Write the results after each."""
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        raise SystemExit(
            f"error: BENCH is {' '.join(names)!r}, where {', '.join(sorted(unknown))} is unknown; "
            f"use {', '.join(BENCHMARKS)}"
        )
    path = Path("runs/bench") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    results: dict[str, Result | str] = {}
    for name in names or BENCHMARKS:
        results[name] = BENCHMARKS[name]()
        print(results[name], flush=True)
        _write(path, results)
    machine, throughput = results.get("machine"), results.get("throughput")
    if isinstance(machine, Result) and isinstance(throughput, Result):
        results["share"] = share_of_ceiling(machine, throughput)
        print(results["share"])
        _write(path, results)
    print(f"wrote {path}")


def _write(path: Path, results: dict[str, Result | str]) -> None:
    record = {
        "results": {
            name: result.record() if isinstance(result, Result) else result.splitlines()
            for name, result in results.items()
        },
        "machine": {"processor": processor.name(), "cores": os.cpu_count()},
        "versions": provenance.versions(),
        "git": provenance.git_state(),
    }
    files.write_text(path, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
