"""The practice competition: digit-recognizer rebuilt offline from MNIST, scored on this machine."""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.competitions.practice import scorer, submission_list
from pipeline.competitions.protocol import Entry
from pipeline.data.dataset import DataFiles

FORMAT = 1
"""Version of the folder's content; a folder of another version is built anew."""


class PracticeCompetition:
    """The competition `practice` in `folder`, made from `mnist_folder` with `seed`.

    The folder holds `train.csv`, `test.csv` and `sample_submission.csv` as Kaggle gives them,
    `hidden/labels.csv` for the scorer, `submissions.csv`, and `practice.json`, which is written
    last and says that the rest is whole. 0 <= `seed` < 2**32, else PipelineError.
    """

    def __init__(self, folder: Path, mnist_folder: Path, seed: int) -> None:
        """Name the folders and the seed; nothing is read or written yet."""
        if not 0 <= seed < 2**32:
            raise PipelineError(
                f"PRACTICE_SEED: is {seed}; a whole number from 0 to 4294967295 is allowed"
            )
        self.folder = folder
        self.mnist_folder = mnist_folder
        self.seed = seed

    @property
    def name(self) -> str:
        """The word that `SOURCE` uses for this competition."""
        return "practice"

    def fetch(self) -> DataFiles:
        """Build the files unless they are there and unchanged; return where they are.

        A file counts as unchanged if its size and time of change are those noted when it was
        built, or else its SHA-256. Raises PipelineError when MNIST's files are missing or
        damaged, or when the folder belongs to another seed: its list of submissions holds
        scores on other labels.
        """
        if not self._is_whole():
            with self._locked():
                if not self._is_whole():  # another process may have built it meanwhile
                    self._build()
        return DataFiles(train=self.folder / "train.csv", test=self.folder / "test.csv")

    def check_ready(self) -> None:
        """Do nothing: a practice submission needs no more than this machine."""

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Score `csv` and add it to the list of submissions, once for each `token`.

        Scores are rounded to 5 decimals, as Kaggle shows them. As on Kaggle, a malformed file
        is listed with the status "error" and no score. Raises PipelineError when `csv` is
        missing, or when `message` does not hold the token.
        """
        if not token or token not in message:
            raise PipelineError(f"message: {message!r} does not hold the token {token!r}; add it")
        if not csv.is_file():
            raise PipelineError(f"{csv}: no such file; make the submission first")
        self.fetch()
        with self._locked():
            entries = submission_list.read(self._list_path)
            for entry in entries:
                if token in entry.message:
                    return entry
            entry = self._judge(csv, message, reference=f"practice-{len(entries) + 1}")
            submission_list.write(self._list_path, [*entries, entry])
        return entry

    def submissions(self) -> list[Entry]:
        """List the submissions made so far, newest first. Raises PipelineError."""
        return submission_list.read(self._list_path)[::-1]

    def _judge(self, csv: Path, message: str, reference: str) -> Entry:
        """Return the entry for a submission that was not sent before."""
        try:
            labels = submission.check(csv)
        except PipelineError:
            score = None
        else:
            score = scorer.score(self.folder, labels)
        return Entry(
            reference=reference,
            file_name=csv.name,
            submitted_at=datetime.now(UTC).isoformat(timespec="seconds"),
            message=message,
            status="complete" if score else "error",
            public_score=round(score.public, 5) if score else None,
            private_score=round(score.private, 5) if score else None,
            hidden_score=round(score.overall, 5) if score else None,
        )

    def _build(self) -> None:
        # Loading scikit-learn takes 2 s, which a folder that is already there need not pay.
        from pipeline.competitions.practice import builder

        self._stamp_path.unlink(missing_ok=True)
        made = builder.build(self.folder, self.mnist_folder, self.seed)
        stamp = {
            "format": FORMAT,
            "seed": self.seed,
            "files": {
                path.relative_to(self.folder).as_posix(): {
                    "bytes": path.stat().st_size,
                    "changed_ns": path.stat().st_mtime_ns,
                    "sha256": files.sha256(path),
                }
                for path in made
            },
        }
        files.write_text(self._stamp_path, json.dumps(stamp, indent=2) + "\n")

    def _is_whole(self) -> bool:
        """Say whether all files are there as the stamp notes them."""
        try:
            stamp = json.loads(self._stamp_path.read_text(encoding="utf-8"))
            if stamp["format"] != FORMAT:
                return False
            found_seed = stamp["seed"]
            unchanged = all(
                _is_unchanged(self.folder / name, noted) for name, noted in stamp["files"].items()
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return False  # no stamp, half a stamp or a missing file: build
        if found_seed != self.seed:
            raise PipelineError(
                f"{self.folder}: holds the practice competition of PRACTICE_SEED={found_seed}, "
                f"not {self.seed}; use a folder for each seed, or delete this one"
            )
        return unchanged

    def _locked(self) -> AbstractContextManager[None]:
        """Hold the folder alone: no other process builds in it or adds to its list meanwhile."""
        return files.locked(self.folder.with_name(f".{self.folder.name}.lock"))

    @property
    def _list_path(self) -> Path:
        return self.folder / "submissions.csv"

    @property
    def _stamp_path(self) -> Path:
        return self.folder / "practice.json"


def _is_unchanged(path: Path, noted: dict[str, int | str]) -> bool:
    """Compare a file with its size, time of change and checksum as the stamp notes them."""
    now = path.stat()
    if now.st_size != noted["bytes"]:
        return False
    return now.st_mtime_ns == noted["changed_ns"] or files.sha256(path) == noted["sha256"]
