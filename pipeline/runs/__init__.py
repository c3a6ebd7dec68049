"""The run folder: what is recorded, who works on it, and finding runs again."""

from pipeline.runs.listing import as_json, describe
from pipeline.runs.records import SCHEMA_VERSION, Checkpoint, Member, Record, Scores, Status
from pipeline.runs.run import RESUME_FILE, Run, remove_strays
from pipeline.runs.store import RunStore, now

__all__ = [
    "RESUME_FILE",
    "SCHEMA_VERSION",
    "Checkpoint",
    "Member",
    "Record",
    "Run",
    "RunStore",
    "Scores",
    "Status",
    "as_json",
    "describe",
    "now",
    "remove_strays",
]
