"""What kills need: the stages, small data to run them on, and how long they take."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.commands import write_digits
from tests.bench.kills import BEGUN, SETTINGS
from tests.kaggle.files import GOOD_ZIP
from tests.kaggle_stand_in import StandIn
from tests.torture.jobs import Place

EPOCHS = 8
LONGEST_UPLOAD = 12.0
"""Seconds: longer than the same command takes to start again and to read the list."""


@dataclass(frozen=True)
class Stage:
    """A stage to kill. The moments are mostly after a printed line that matches `marker`.

    `base` names the prepared folder that a trial starts from, empty for an empty one.
    """

    name: str
    kaggle: bool
    base: str
    marker: str
    executor: str = "serial"


STAGES = (
    Stage("submit", True, "predicted", "uploading"),
    Stage("train", False, "", BEGUN, "serial"),
    Stage("data", True, "", "downloading"),
    Stage("train", False, "", BEGUN, "processes"),
    Stage("submit", True, "predicted", "uploading"),
    Stage("split", False, "", ""),
    Stage("ensemble", False, "trained", "predicting"),
    Stage("submission", False, "trained", "predicting"),
)


class Kit:
    """What all trials share: digits, prepared folders, and how long each stage takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.whole = Place(folder / "whole", self._variables("serial"))
        self.seconds: dict[str, float] = {"submit": LONGEST_UPLOAD + 5}
        self._lock = threading.Lock()
        write_digits(folder / "digits", rows=600, test_rows=200)

    def _variables(self, executor: str) -> dict[str, str]:
        """Return the variables of a stage on the small digits."""
        return {
            "SOURCE": str(self.folder / "digits"),
            "RECIPE": "quick",
            "SET": SETTINGS.format(epochs=EPOCHS),
            "EXECUTOR": executor,
            "HOME": str(self.folder),
        }

    def _kaggle_variables(self, server: StandIn) -> dict[str, str]:
        options = {"SOURCE": "kaggle", "RECIPE": "mlp_50", "SET": "training.epochs=1"}
        return {**server.environment(self.folder), **options, "EXECUTOR": "serial"}

    def prepare(self, stage: Stage) -> None:
        """Make what the stage's trials need, unless that is done."""
        with self._lock:
            if stage.kaggle and "data" not in self.seconds:
                with StandIn(zip_bytes=GOOD_ZIP) as server:
                    place = Place(self.folder / "predicted", self._kaggle_variables(server))
                    self._measure(place, "data")
                    self._measure(place, "submission")
            if not stage.kaggle and "train" not in self.seconds:
                for name in ("split", "train"):
                    self._measure(self.whole, name)
                shutil.copytree(self.whole.root, self.folder / "trained")
                self._measure(self.whole, "submission")
                self.seconds["ensemble"] = self.seconds["submission"]

    def _measure(self, place: Place, stage: str) -> None:
        """Run a stage undisturbed, and note its seconds."""
        started = time.monotonic()
        code, printed = place.finish(stage)
        assert code == 0, printed
        self.seconds[stage] = time.monotonic() - started

    @contextmanager
    def place(
        self, stage: Stage, root: Path, slow_uploads: float, lists_before_shown: int
    ) -> Iterator[tuple[Place, StandIn | None]]:
        """Yield a folder to run the stage in, with Kaggle's stand-in where it needs one."""
        root.mkdir()
        if stage.base:
            for name in ("runs", "submissions"):
                if (self.folder / stage.base / name).exists():
                    shutil.copytree(self.folder / stage.base / name, root / name)
            (root / "data").symlink_to(self.folder / stage.base / "data")
        if not stage.kaggle:
            yield Place(root, self._variables(stage.executor)), None
            return
        with StandIn(zip_bytes=GOOD_ZIP) as server:
            server.faults.slow_uploads = slow_uploads
            server.faults.lists_before_shown = lists_before_shown
            yield Place(root, self._kaggle_variables(server)), server
