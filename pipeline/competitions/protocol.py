"""What the pipeline needs from a source of digits and from a competition, whichever they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pipeline.data.dataset import DataFiles

SubmissionStatus = Literal["pending", "complete", "error"]


@dataclass(frozen=True)
class Entry:
    """One submission as the competition lists it.

    `reference` is the competition's own name for it. `submitted_at` is UTC in ISO 8601. A score is
    the share of correct labels in [0, 1], or None if the competition shows none; `hidden_score`
    counts all hidden rows, public and private.
    """

    reference: str
    file_name: str
    submitted_at: str
    message: str
    status: SubmissionStatus
    public_score: float | None
    private_score: float | None
    hidden_score: float | None = None


class Source(Protocol):
    """Where digits come from."""

    @property
    def location(self) -> str:
        """What run.json records as `source`; as `SOURCE` it names the same digits again."""
        ...

    def fetch(self) -> DataFiles:
        """Make sure that the data files exist, checked and complete, and return their paths.

        Does nothing if they already are. Raises PipelineError.
        """
        ...


class Competition(Protocol):
    """Where a submission goes and is scored."""

    @property
    def key(self) -> str:
        """The name that the ledger records. Competitions with other hidden rows have other keys."""
        ...

    def check_ready(self) -> None:
        """Raise PipelineError if `submit` is sure to fail, before hours go into training.

        Uses no network.
        """
        ...

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Send `csv` with `message`, wait for its score, and return its entry in the list.

        `token` is unique to this attempt and part of `message`: it identifies the submission. If
        an entry already has the token, that entry is returned and nothing is sent. The status may
        still be "pending" if the score did not come within the time limit. Raises PipelineError.
        """
        ...

    def submissions(self) -> list[Entry]:
        """Return the submissions made so far, newest first. Raises PipelineError."""
        ...
