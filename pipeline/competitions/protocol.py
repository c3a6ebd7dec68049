"""What the pipeline needs from a source of digits and from a competition, whichever they are."""

from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field, PlainSerializer

from pipeline.data.dataset import DataFiles

SubmissionStatus = Literal["pending", "complete", "error"]
Share = Annotated[float, Field(ge=0, le=1), PlainSerializer("{:.5f}".format, when_used="json")]
Score = Share | None
"""A share of correct labels in [0, 1], with 5 decimals in a file; None if none is shown."""

Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,60}$")]
"""A competition's own name for a submission, which no table calculates as a formula."""


class Entry(BaseModel, frozen=True, populate_by_name=True):
    """One submission as the competition lists it, in the columns of the kaggle command's CSV.

    `reference` is the competition's own name for it. `submitted_at` is UTC in ISO 8601.
    """

    reference: Reference = Field(alias="ref")
    file_name: str = Field(alias="fileName")
    submitted_at: str = Field(alias="date")
    message: str = Field(alias="description")
    status: SubmissionStatus
    public_score: Score = Field(None, alias="publicScore")
    private_score: Score = Field(None, alias="privateScore")


class Source(Protocol):
    """Where digits come from."""

    @property
    def location(self) -> str:
        """What run.json records as `source`; as `SOURCE` it names the same digits again."""

    def fetch(self) -> DataFiles:
        """Make sure that the data files exist, checked and complete, and return their paths.

        Does nothing if they already are. Raises PipelineError.
        """


class Competition(Protocol):
    """Where a submission goes and is scored."""

    @property
    def key(self) -> str:
        """The name that the ledger records. Competitions with other hidden rows have other keys."""

    def check_ready(self) -> None:
        """Raise PipelineError if `submit` is sure to fail, before hours go into training.

        Uses no network.
        """

    def submit(self, csv: Path, message: str, token: str) -> Entry:
        """Send `csv` with `message`, wait for its score, and return its entry in the list.

        `token` is unique to this attempt and part of `message`: it identifies the submission. If
        an entry already has the token, that entry is returned and nothing is sent. If an earlier
        call was cut off and the competition may have the submission, nothing is sent either. The
        status may still be "pending" if the score did not come within the time limit. Raises
        PipelineError.
        """

    def is_lost(self, token: str) -> bool:
        """Return whether the submission of an earlier call went out and is not in the list.

        Waits for a list that lags. Raises PipelineError.
        """

    def submissions(self) -> list[Entry]:
        """Return the submissions made so far, newest first. Raises PipelineError."""
