"""Images a second in training, augmentation included: peers and recipes, a command each.

Ours trains two members side by side, which share the machine's cores; the peers' plain Keras has
all of them, and is also run twice at the same time. An epoch's time is that of Keras's `fit`, with
the validation on a seventh or a tenth of the rows, without saving.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.commands import (
    images_per_second,
    train_in_a_new_folder,
    train_peer,
    write_digits,
)
from tests.bench.timing import Result, interleave_rates

ROWS, EPOCHS = 8_000, 4
HELD_OUT = 0.15
MEMBERS = 2


def throughput() -> Result:
    """The rate of the epochs after the first, on 6,800 images (the second peer: 7,200)."""
    with TemporaryDirectory() as name:
        digits = Path(name) / "digits"
        write_digits(digits, ROWS)
        sides = {
            "the notebook's loop in plain Keras": partial(_peers, "notebook", digits, 1),
            "two of them side by side": partial(_peers, "notebook", digits, 2),
            "one of the 15 CNNs in plain Keras": partial(_peers, "fifteen", digits, 1),
            "bn_cnn, float32": partial(_ours, "bn_cnn", "training.precision=float32", digits),
            "bn_cnn": partial(_ours, "bn_cnn", "", digits),
            "quick": partial(_ours, "quick", "", digits),
            "fast": partial(_ours, "fast", "", digits),
            "champion": partial(_ours, "champion", "", digits),
        }
        claim = f"training, ours with {MEMBERS} members side by side"
        return interleave_rates(claim, "images/s", sides, repeats=3)


def _peers(peer: str, digits: Path, count: int) -> float:
    held_out = HELD_OUT if peer == "notebook" else 0.1
    with TemporaryDirectory() as name, ThreadPoolExecutor(count) as pool:
        folders = [Path(name) / str(one) for one in range(count)]
        list(pool.map(lambda one: train_peer(peer, digits, one, "--epochs", str(EPOCHS)), folders))
        return images_per_second(Path(name), round(ROWS * (1 - held_out)))


def _ours(recipe: str, settings: str, digits: Path) -> float:
    settings += f" members.seeds={MEMBERS} members.folds=0 training.epochs={EPOCHS}"
    settings += f" split.validation_fraction={HELD_OUT}"
    look = partial(images_per_second, rows=round(ROWS * (1 - HELD_OUT)))
    return train_in_a_new_folder(recipe, settings, digits, "processes", look)
