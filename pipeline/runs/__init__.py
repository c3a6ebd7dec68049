"""The run folder: what is recorded, who works on it, and finding runs again."""

from pipeline.runs.records import SCHEMA_VERSION, Checkpoint, Member, Record, Scores, Status
from pipeline.runs.run import Run
from pipeline.runs.store import RunStore, now

__all__ = [
    "SCHEMA_VERSION",
    "Checkpoint",
    "Member",
    "Record",
    "Run",
    "RunStore",
    "Scores",
    "Status",
    "now",
]
