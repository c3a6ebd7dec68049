"""Eight small members: side by side against one after another, and Ray against processes."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.commands import train_in_new_folder, write_digits
from tests.bench.timing import Result, interleave, rate_of

MEMBERS, EPOCHS, ROWS = 8, 4, 10_000
SETTINGS = f"members.seeds={MEMBERS} training.epochs={EPOCHS} split.validation_fraction=0.2"
IMAGES = MEMBERS * EPOCHS * ROWS * 4 // 5


def members() -> Result:
    """Time the whole command for eight members of `quick`, with each executor."""
    with TemporaryDirectory() as name:
        digits = Path(name)
        write_digits(digits, ROWS)

        def side(executor: str) -> partial[Path]:
            return partial(train_in_new_folder, "quick", SETTINGS, digits, executor, Path)

        sides = {name: rate_of(side(name), IMAGES) for name in ("serial", "processes", "ray")}
        claim = f"{MEMBERS} members of quick, {EPOCHS} epochs of 8,000 rows, from start to end"
        peers = {"processes": ("serial",), "ray": ("processes",)}
        return interleave(claim, "images/s", sides, repeats=3, peers=peers)
