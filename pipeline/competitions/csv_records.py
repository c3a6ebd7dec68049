"""CSV files whose rows are pydantic records."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing
from pipeline.common.text import printable

Record = TypeVar("Record", bound=BaseModel)


def read_records(path: Path, model: type[Record], content: str) -> list[Record]:
    """Return the rows of a CSV file in their order; none if there is no file.

    A byte order mark is ignored. Raises PipelineError, which says that the file is not `content`,
    if a row is not a valid record.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_records(file, model)
    except (ValueError, csv.Error) as error:
        detail = printable(error, 300)
        raise PipelineError(
            f"{path}: is not {content} ({detail}); correct it, or move the file away"
        ) from None


def parse_records(lines: Iterable[str], model: type[Record]) -> list[Record]:
    """Return the rows of a CSV's lines in their order.

    Cells are named by the fields' aliases; other columns are for `model` to keep or ignore. An
    empty cell takes the field's default. Raises ValueError, or csv.Error, if a row is not a valid
    record.
    """
    reader = csv.DictReader(lines, strict=True)
    _check_header(list(reader.fieldnames or []), model)
    return [_record(row, model, reader.line_num) for row in reader]


def _check_header(names: Sequence[str], model: type[BaseModel]) -> None:
    """Raise ValueError if a column is missing that every record needs, or is there twice."""
    for name, field in model.model_fields.items():
        if field.is_required() and (field.alias or name) not in names:
            raise ValueError(f"line 1 has no column {field.alias or name}")
    if len(set(names)) < len(names):
        raise ValueError("two columns have the same name")


def _record(row: Mapping[str, str], model: type[Record], line: int) -> Record:
    """Return a row as a record. Raises ValueError if it is none."""
    try:
        return model.model_validate({name: cell for name, cell in row.items() if cell != ""})
    except ValidationError as error:
        first = error.errors()[0]
        column = ".".join(map(str, first["loc"])) or "the row"
        found = "missing" if first["type"] == "missing" else printable(repr(first["input"]))
        raise ValueError(f"line {line}: {column} is {found}: {first['msg']}") from None


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
