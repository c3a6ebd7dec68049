"""The practice competition's files: Kaggle's digit-recognizer rebuilt offline from MNIST."""

import json
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.data.dataset import DataFiles
from pipeline.data.spec import SPEC

FORMAT = 2
"""Version of the folder's content; a folder of another version is built again."""


def practice_key(seed: int) -> str:
    """Return the name of the practice competition of `seed`: its data folder and its ledger key."""
    return f"practice-{seed}" if seed else "practice"


@dataclass(frozen=True)
class PracticeSource:
    """The source `practice`: files in `folder`, made from `mnist_folder` with `seed`.

    The folder contains `train.csv`, `test.csv` and `sample_submission.csv` in Kaggle's format, and
    `practice.json`, a stamp that is written last and shows that the rest is complete. The labels of
    `test.csv` are in no file. 0 <= `seed` < 2**32, else PipelineError.
    """

    location = "practice"

    folder: Path
    mnist_folder: Path
    seed: int

    def __post_init__(self) -> None:
        """Check the seed."""
        if not 0 <= self.seed < 2**32:
            raise PipelineError(
                f"PRACTICE_SEED: is {self.seed}; a whole number from 0 to 4294967295 is allowed"
            )

    def fetch(self) -> DataFiles:
        """Build the files unless they exist unchanged; return the paths of the data files.

        A file counts as unchanged if its size and time of change are those in the stamp, or else
        its SHA-256. Raises PipelineError if MNIST's files are missing or damaged, or if the folder
        belongs to another seed: its list of submissions has scores on other labels.
        """
        if not self._is_complete():
            with self.locked():
                if not self._is_complete():  # another process may have built it meanwhile
                    self._build()
        return DataFiles(train=self.folder / SPEC.train_file, test=self.folder / SPEC.test_file)

    def locked(self) -> AbstractContextManager[None]:
        """Lock the folder: meanwhile no other process builds in it or changes its list."""
        return files.locked(self.folder.with_name(f".{self.folder.name}.lock"))

    def _build(self) -> None:
        # Importing scikit-learn takes 2 s, which is wasted if the folder is complete.
        from pipeline.competitions.practice import builder

        self.stamp_path.unlink(missing_ok=True)
        paths, hidden_checksum = builder.build(self.folder, self.mnist_folder, self.seed)
        if (self.folder / "hidden").exists():  # format 1 kept the hidden labels there
            shutil.rmtree(self.folder / "hidden")
        stamp = {
            "format": FORMAT,
            "seed": self.seed,
            "hidden_sha256": hidden_checksum,
            "files": {
                path.relative_to(self.folder).as_posix(): files.state(path)
                | {"sha256": files.sha256(path)}
                for path in paths
            },
        }
        files.write_text(self.stamp_path, json.dumps(stamp, indent=2) + "\n")

    def _is_complete(self) -> bool:
        """Return whether all files exist as the stamp records them."""
        try:
            stamp = json.loads(self.stamp_path.read_text(encoding="utf-8"))
            if stamp["format"] != FORMAT or not stamp["hidden_sha256"]:
                return False
            stamped_seed = stamp["seed"]
            unchanged = all(
                _is_unchanged(self.folder / name, recorded)
                for name, recorded in stamp["files"].items()
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False  # no stamp, half a stamp or a missing file: build
        if stamped_seed != self.seed:
            raise PipelineError(
                f"{self.folder}: holds the practice competition of PRACTICE_SEED={stamped_seed}, "
                f"not {self.seed}; use one folder per seed, or delete this one"
            )
        return unchanged

    @property
    def stamp_path(self) -> Path:
        """The file that shows that the others are complete."""
        return self.folder / "practice.json"

    def hidden_checksum(self) -> str:
        """Return the checksum of the hidden rows that `test.csv` was built with, after `fetch`."""
        return str(json.loads(self.stamp_path.read_text(encoding="utf-8"))["hidden_sha256"])


def _is_unchanged(path: Path, recorded: dict[str, int | str]) -> bool:
    """Compare a file with the size, time of change and checksum in the stamp."""
    state = files.state(path)
    if state.items() <= recorded.items():
        return True
    return state["bytes"] == recorded["bytes"] and files.sha256(path) == recorded["sha256"]
