"""The file run.json: the content of any version so far, read within limits and checked."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.runs.records import SCHEMA_VERSION, Record, upgraded

RECORD_FILE = "run.json"

LARGEST = 10_000_000
"""Bytes. A run of a hundred members with ten checkpoints each has 300,000."""

_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def read_record(path: Path) -> Record:
    """Return the record in a run.json of any version so far.

    Raises PipelineError where the file is missing or damaged, of a version to come, or in a folder
    that does not have the run's name.
    """
    try:
        values = json.loads(files.read_bytes(path, LARGEST).decode())
        if not isinstance(values, dict):
            raise ValueError("it holds no JSON object")
        version = values["schema_version"]
        if version not in range(1, SCHEMA_VERSION + 1):
            raise PipelineError(
                f"{path}: schema_version is {printable(repr(version))}; this version of the "
                f"pipeline reads 1 to {SCHEMA_VERSION}; use the version that wrote it, or move the "
                "folder away (its checkpoints go with it)"
            )
        record = _RECORD.validate_python(upgraded(values))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise PipelineError(
            f"{path} is not a run record ({_first_problem(error)}); move the folder away (its "
            "checkpoints go with it)"
        ) from None
    if record.id != path.parent.name:
        raise PipelineError(
            f"{path}: id is {record.id!r}, which must be the name of its folder; name the folder "
            "so, or move it away"
        )
    return record


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"][1:]))  # the first part is the kind of record
        found = first["input"]
        shown = f" is {found!r}" if isinstance(found, str | int | float | None) else ""
        return f"{printable(key)}{printable(shown)}: {printable(first['msg'])}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error}" if error.doc else "it is empty"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"no {printable(error)}" if isinstance(error, KeyError) else printable(error)
