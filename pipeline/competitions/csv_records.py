"""CSV files whose rows are pydantic records."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing

Record = TypeVar("Record", bound=BaseModel)


def read_records(path: Path, model: type[Record], content: str) -> list[Record]:
    """Return the rows of a CSV file in their order; none if there is no file.

    Cells are named by the fields' aliases. An empty cell takes the field's default. Raises
    PipelineError, which says that the file is not `content`, if a row is not a valid record.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        filled = [{name: cell for name, cell in row.items() if cell != ""} for row in rows]
        return [model.model_validate(row) for row in filled]
    except (ValueError, csv.Error) as error:
        detail = " ".join(str(error).split())[:100]
        raise PipelineError(
            f"{path}: is not {content} ({detail}); correct the row, or move the file away"
        ) from None


def write_records(path: Path, model: type[Record], records: Sequence[Record]) -> None:
    """Write a CSV file with one column per field of `model`, completely or not at all."""
    columns = [field.alias or name for name, field in model.model_fields.items()]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(record.model_dump(mode="json", by_alias=True) for record in records)
