"""Images a second in training, augmentation included: peers and recipes, a command each.

Ours trains two members side by side, each with half of the cores; the peers' plain Keras has all
cores, and is also run twice at the same time, each with half. The notebook's is also run without
tf.data's autotuner (without_autotuner.py), whose waits plain Keras has and ours has not. The time
is that of the epochs with their validation on a seventh or a tenth of the rows, ours with writing
the checkpoints, though not the file from which an interrupted run goes on (0.1 to 0.3 % of a full
run of bn_cnn or fast).
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
    train_in_a_new_folder,
    train_peer,
    write_digits,
)
from tests.bench.memory import watched
from tests.bench.timing import Peers, Rate, Result, interleave

ROWS, EPOCHS = 8_000, 4
HELD_OUT = 0.15
MEMBERS = 2

NOTEBOOK, PAIR = "the notebook's loop in plain Keras", "two of them side by side"
UNTUNED, UNTUNED_PAIR = (f"{one}, autotuner off" for one in ("the notebook's loop", "two of them"))
FLOAT32, AUTOMATIC = "bn_cnn, float32, two members", "bn_cnn, two members"


def throughput() -> Result:
    """The default network: the rate of the epochs after the first, on 6,800 images each."""
    with TemporaryDirectory() as name:
        digits = Path(name) / "digits"
        write_digits(digits, ROWS)
        sides = {
            NOTEBOOK: partial(_peers, "notebook", digits, 1),
            UNTUNED: partial(_peers, "notebook", digits, 1, autotuner=False),
            PAIR: partial(_peers, "notebook", digits, MEMBERS),
            UNTUNED_PAIR: partial(_peers, "notebook", digits, MEMBERS, autotuner=False),
            FLOAT32: partial(_ours, "bn_cnn", "training.precision=float32", digits),
            AUTOMATIC: partial(_ours, "bn_cnn", "", digits),
        }
        against = (NOTEBOOK, UNTUNED, PAIR, UNTUNED_PAIR)
        peers = {
            **dict.fromkeys(against[1:], (NOTEBOOK,)),
            **dict.fromkeys((FLOAT32, AUTOMATIC), against),
        }
        claim = "training of the default network"
        return _measure(claim, sides, peers)


def recipes() -> Result:
    """The other recipes and the other peer: rates, not compared, as the networks differ."""
    with TemporaryDirectory() as name:
        digits = Path(name) / "digits"
        write_digits(digits, ROWS)
        sides = {
            "one of the 15 CNNs in plain Keras": partial(_peers, "fifteen", digits, 1),
            "two of them side by side": partial(_peers, "fifteen", digits, MEMBERS),
            "quick, two members": partial(_ours, "quick", "", digits),
            "fast, two members": partial(_ours, "fast", "", digits),
            "champion, two members": partial(_ours, "champion", "", digits),
        }
        return _measure("training of other networks", sides, {})


def _measure(claim: str, sides: Mapping[str, Rate], peers: Peers) -> Result:
    """Interleave the sides, and note the most memory that each took."""
    memory = dict.fromkeys(sides, 0)

    def watching(name: str) -> float:
        with watched() as peak:
            rate = sides[name]()
        memory[name] = max(memory[name], peak.bytes)
        return rate

    watchers = {name: partial(watching, name) for name in sides}
    result = interleave(claim, "images/s", watchers, repeats=3, peers=peers)
    notes = tuple(f"{name}: {held / 1e9:.2f} GB at most" for name, held in memory.items())
    return replace(result, notes=notes)


def _peers(peer: str, digits: Path, count: int, autotuner: bool = True) -> float:
    held_out = HELD_OUT if peer == "notebook" else 0.1
    threads = max(1, loky.cpu_count() // count) if count > 1 else None
    with TemporaryDirectory() as name, ThreadPoolExecutor(count) as pool:
        folders = [Path(name) / str(one) for one in range(count)]
        train = partial(
            train_peer, peer, digits, epochs=EPOCHS, threads=threads, autotuner=autotuner
        )
        list(pool.map(train, folders))
        return images_per_second(Path(name), round(ROWS * (1 - held_out)))


def _ours(recipe: str, settings: str, digits: Path) -> float:
    settings += f" members.seeds={MEMBERS} members.folds=0 training.epochs={EPOCHS}"
    settings += f" split.validation_fraction={HELD_OUT}"
    look = partial(images_per_second, rows=round(ROWS * (1 - HELD_OUT)))
    return train_in_a_new_folder(recipe, settings, digits, "processes", look)
