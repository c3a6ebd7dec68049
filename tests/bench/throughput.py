"""Images per second in training, with augmentation: peers and recipes, each as its own command.

Ours trains two members side by side, each on half of the cores. The peers' plain Keras has all
cores, and runs a second time as two trainings at once, each on half of them. The notebook's also
runs without tf.data's autotuner (without_autotuner.py), for which plain Keras waits and ours does
not. The time covers the epochs with their validation, on a seventh or a tenth of the rows, and on
our side the checkpoints. It leaves out our resume file, which takes 0.1 to 0.3 % of a full run of
bn_cnn or fast.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import loky

from tests.bench.commands import (
    images_per_second,
    train_in_new_folder,
    train_peer,
    write_digits,
)
from tests.bench.memory import peak_memory
from tests.bench.timing import Peers, Rate, Result, interleave

ROWS, EPOCHS = 8_000, 4
HELD_OUT = 0.15
MEMBERS = 2

NOTEBOOK, PAIR = "the notebook's loop in plain Keras", "two notebook loops side by side"
UNTUNED = "the notebook's loop, autotuner off"
UNTUNED_PAIR = "two notebook loops, autotuner off"
FLOAT32, AUTOMATIC = "bn_cnn, float32, two members", "bn_cnn, two members"


def throughput() -> Result:
    """Measure the default network: the rate after the first epoch, on 6,800 images per epoch."""
    with TemporaryDirectory() as name:
        digits = Path(name) / "digits"
        write_digits(digits, ROWS)
        sides = {
            NOTEBOOK: partial(_peer_rate, "notebook", digits, 1),
            UNTUNED: partial(_peer_rate, "notebook", digits, 1, autotuner=False),
            PAIR: partial(_peer_rate, "notebook", digits, MEMBERS),
            UNTUNED_PAIR: partial(_peer_rate, "notebook", digits, MEMBERS, autotuner=False),
            FLOAT32: partial(_own_rate, "bn_cnn", "training.precision=float32", digits),
            AUTOMATIC: partial(_own_rate, "bn_cnn", "", digits),
        }
        against = (NOTEBOOK, UNTUNED, PAIR, UNTUNED_PAIR)
        peers = {
            **dict.fromkeys(against[1:], (NOTEBOOK,)),
            **dict.fromkeys((FLOAT32, AUTOMATIC), against),
        }
        claim = "training of the default network"
        return _measure(claim, sides, peers)


def recipes() -> Result:
    """Measure the other recipes and the other peer, without ratios, as the networks differ."""
    with TemporaryDirectory() as name:
        digits = Path(name) / "digits"
        write_digits(digits, ROWS)
        sides = {
            "one of the 15 CNNs in plain Keras": partial(_peer_rate, "fifteen", digits, 1),
            "two of the 15 CNNs side by side": partial(_peer_rate, "fifteen", digits, MEMBERS),
            "quick, two members": partial(_own_rate, "quick", "", digits),
            "fast, two members": partial(_own_rate, "fast", "", digits),
            "champion, two members": partial(_own_rate, "champion", "", digits),
        }
        return _measure("training of other networks", sides, {})


def _measure(claim: str, sides: Mapping[str, Rate], peers: Peers) -> Result:
    """Interleave the sides, and note the peak memory of each."""
    memory = dict.fromkeys(sides, 0)

    def rate_and_memory(name: str) -> float:
        with peak_memory() as peak:
            rate = sides[name]()
        memory[name] = max(memory[name], peak.bytes)
        return rate

    watched_sides = {name: partial(rate_and_memory, name) for name in sides}
    result = interleave(claim, "images/s", watched_sides, repeats=3, peers=peers)
    notes = tuple(f"{name}: peak memory {peak / 1e9:.2f} GB" for name, peak in memory.items())
    return replace(result, notes=notes)


def _peer_rate(peer: str, digits: Path, count: int, autotuner: bool = True) -> float:
    """Return the images per second of `count` trainings of a peer at the same time."""
    held_out = HELD_OUT if peer == "notebook" else 0.1
    threads = max(1, loky.cpu_count() // count) if count > 1 else None
    with TemporaryDirectory() as name, ThreadPoolExecutor(count) as pool:
        folders = [Path(name) / str(number) for number in range(count)]
        train = partial(
            train_peer, peer, digits, epochs=EPOCHS, threads=threads, autotuner=autotuner
        )
        list(pool.map(train, folders))
        return images_per_second(Path(name), round(ROWS * (1 - held_out)))


def _own_rate(recipe: str, settings: str, digits: Path) -> float:
    """Return the images per second of two members of a recipe."""
    settings += f" members.seeds={MEMBERS} members.folds=0 training.epochs={EPOCHS}"
    settings += f" split.validation_fraction={HELD_OUT}"
    read = partial(images_per_second, rows=round(ROWS * (1 - HELD_OUT)))
    return train_in_new_folder(recipe, settings, digits, "processes", read)
