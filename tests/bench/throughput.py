"""Images a second in training, augmentation included: peers and recipes, a command each.

Ours trains two members side by side, one core each; the peers' plain Keras uses both cores.
"""

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

ROWS, EPOCHS = 10_000, 3
HELD_OUT = 0.15
MEMBERS = 2


def throughput() -> Result:
    """The rate of the second and third epoch of 8,500 images (the second peer holds out fewer)."""
    with TemporaryDirectory() as name:
        digits = Path(name) / "digits"
        write_digits(digits, ROWS)
        sides = {
            "the notebook's loop in plain Keras": partial(_peer, "notebook", digits, 0.15),
            "one of the 15 CNNs in plain Keras": partial(_peer, "fifteen", digits, 0.1),
            "bn_cnn, float32": partial(_ours, "bn_cnn", "training.precision=float32", digits),
            "bn_cnn": partial(_ours, "bn_cnn", "", digits),
            "quick": partial(_ours, "quick", "", digits),
            "fast": partial(_ours, "fast", "", digits),
        }
        claim = f"training, ours with {MEMBERS} members side by side"
        return interleave_rates(claim, "images/s", sides, repeats=3)


def _peer(peer: str, digits: Path, held_out: float) -> float:
    with TemporaryDirectory() as name:
        train_peer(peer, digits, Path(name), "--epochs", str(EPOCHS))
        return images_per_second(Path(name), round(ROWS * (1 - held_out)))


def _ours(recipe: str, settings: str, digits: Path) -> float:
    settings += f" members.seeds={MEMBERS} members.folds=0 training.epochs={EPOCHS}"
    settings += f" split.validation_fraction={HELD_OUT}"
    look = partial(images_per_second, rows=round(ROWS * (1 - HELD_OUT)))
    return train_in_a_new_folder(recipe, settings, digits, "processes", look)
