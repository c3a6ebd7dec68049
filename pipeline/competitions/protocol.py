"""What the pipeline asks of a competition, whichever it is: files in, a submission out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pipeline.data.dataset import DataFiles

Status = Literal["pending", "complete", "error"]


@dataclass(frozen=True)
class Entry:
    """One submission as the competition lists it.

    `reference` is the competition's own name for it, `submitted_at` is UTC in ISO 8601, and a
    score is the share of correct labels in [0, 1], or None where the competition shows none;
    `hidden_score` counts all hidden rows, public and private.
    """

    reference: str
    file_name: str
    submitted_at: str
    message: str
    status: Status
    public_score: float | None
    private_score: float | None
    hidden_score: float | None = None


class Competition(Protocol):
    """A place that digits come from and a submission goes to."""

    @property
    def name(self) -> str:
        """The word that `SOURCE` uses for it and that runs and the ledger record."""
        ...

    def fetch(self) -> DataFiles:
        """Make sure that the data files are there, checked and whole, and say where.

        Does nothing where they already are. Raises PipelineError.
        """
        ...

    def check_ready(self) -> None:
        """Raise PipelineError if `submit` is sure to fail, before hours go into training.

        Asks nothing of the network.
        """
        ...

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Send `csv` with `message`, wait for its score, and return what the competition lists.

        `token` is unique to this attempt and part of `message`: the submission is known by it.
        An entry that already carries the token is returned, not sent again. The entry's status
        may still be "pending" if the score did not come within the time limit.
        Raises PipelineError.
        """
        ...

    def submissions(self) -> list[Entry]:
        """List the submissions made so far, newest first. Raises PipelineError."""
        ...
