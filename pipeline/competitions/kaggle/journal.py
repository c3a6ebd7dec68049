"""What was handed to Kaggle, as the process of the kaggle command notes it."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.common.files import locked, read_bytes, write_text
from pipeline.common.progress import Report
from pipeline.competitions.kaggle import child

_LARGEST = 10_000_000  # bytes


@dataclass(frozen=True)
class Journal:
    """A file with the token of each submission or kernel that Kaggle has or may have, one per line.

    The process of the kaggle command writes a token before it sends the request that hands it over
    (`child.py`). What is not in the file was not handed over.
    """

    path: Path

    def __contains__(self, token: str) -> bool:
        """Return whether Kaggle may have what this token stands for."""
        return token in self._tokens()

    def add(self, token: str) -> None:
        """Note that Kaggle has what the token stands for."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        child.append(str(self.path), token)

    def remove(self, token: str) -> None:
        """Note that Kaggle has refused it."""
        kept = [one for one in self._tokens() if one != token]
        write_text(self.path, "".join(f"{one}\n" for one in kept))

    def wait_for_sender(self, report: Report) -> None:
        """Return when no process sends any more: one may have outlived its parent's lock."""
        lock = Path(child.lock_path(str(self.path)))
        with locked(lock, lambda: report("waiting for another command to reach Kaggle")):
            pass

    def _tokens(self) -> list[str]:
        if not self.path.exists():
            return []
        return read_bytes(self.path, _LARGEST).decode(errors="replace").splitlines()
