"""CSV files whose rows are pydantic records."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing
from pipeline.common.text import printable

Record = TypeVar("Record", bound=BaseModel)


def read_records(path: Path, model: type[Record], content: str) -> list[Record]:
    """Return the rows of a CSV file in their order; none if there is no file.

    Cells are named by the fields' aliases. An empty cell takes the field's default. A byte order
    mark is ignored. Raises PipelineError, which says that the file is not `content`, if a row is
    not a valid record.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = list(reader.fieldnames or [])
            if len(set(names)) < len(names):
                raise ValueError("two columns have the same name")
            rows = list(reader)
        filled = [{name: cell for name, cell in row.items() if cell != ""} for row in rows]
        return [model.model_validate(row) for row in filled]
    except (ValueError, csv.Error) as error:
        detail = printable(" ".join(str(error).split()))
        raise PipelineError(
            f"{path}: is not {content} ({detail}); correct the row, or move the file away"
        ) from None


def write_records(path: Path, model: type[Record], records: Sequence[Record]) -> None:
    """Write a CSV file, completely or not at all.

    It has one column per field of `model`, then those that only the records have.
    """
    columns = [field.alias or name for name, field in model.model_fields.items()]
    columns += dict.fromkeys(name for record in records for name in record.model_extra or {})
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(record.model_dump(mode="json", by_alias=True) for record in records)
