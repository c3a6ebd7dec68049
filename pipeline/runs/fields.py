"""What the values in run.json may be: types with the checks that pydantic makes of them."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.common.text import printable

LONGEST_TEXT = 500


def _plain(name: str) -> str:
    if name in (".", ".."):
        raise ValueError("must be the name of a folder")
    return name


def _time(text: str) -> str:
    if text and datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("must have a time zone, as +00:00")
    return text


Count = Annotated[int, Field(ge=0, le=10**12)]
Number = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1e300, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=10**100)]
ProcessId = Annotated[int, Field(ge=0, lt=2**31)]
Text = Annotated[str, AfterValidator(lambda text: printable(text, LONGEST_TEXT))]
"""One line for a person, which is cut off and cleaned as it is read."""
RunId = Annotated[
    str, Field(pattern=r"\A[A-Za-z0-9._-]+\z", max_length=255), AfterValidator(_plain)
]
"""The name of a run's folder."""
KernelName = Annotated[str, Field(pattern=r"\A[A-Za-z0-9_-]+\z", max_length=100)]
"""An account's name at Kaggle, or a kernel's."""
CheckpointFile = Annotated[str, Field(pattern=r"\A[A-Za-z0-9._-]+\.keras\z", max_length=255)]
"""A file name without any folder."""
Location = Annotated[str, Field(pattern=r"\A[^\x00]*\z", max_length=5_000)]
"""A source, or a folder's path."""
Fingerprint = Annotated[str, Field(pattern=r"\A[A-Za-z0-9._-]*\z", max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Time = Annotated[str, Field(pattern=r"\A[0-9TZ:.+-]*\z", max_length=40), AfterValidator(_time)]
"""UTC, ISO 8601. Empty where nothing has happened yet."""
Fact = Count | bool | Number | Text | list[Text] | None
"""What a record says of a machine or a commit."""
