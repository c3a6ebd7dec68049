"""The run folder: what is recorded, who works on it, and finding runs again."""

from pipeline.runs.arrays import Arrays, DamagedArraysError
from pipeline.runs.listing import as_json, describe, describe_all, unreadable_as_json
from pipeline.runs.record_file import RECORD_FILE
from pipeline.runs.records import (
    SCHEMA_VERSION,
    AverageRecord,
    Checkpoint,
    Kernel,
    Member,
    Record,
    RunStatus,
    Scores,
    TrainingRecord,
)
from pipeline.runs.run import (
    CHECKPOINTS_FOLDER,
    HISTORY_FILE,
    MEMBERS_FOLDER,
    NETWORK_FILE,
    RESUME_FILE,
    SCRATCH_FOLDER,
    Run,
)
from pipeline.runs.store import RunStore, now

__all__ = [
    "CHECKPOINTS_FOLDER",
    "HISTORY_FILE",
    "MEMBERS_FOLDER",
    "NETWORK_FILE",
    "RECORD_FILE",
    "RESUME_FILE",
    "SCHEMA_VERSION",
    "SCRATCH_FOLDER",
    "Arrays",
    "AverageRecord",
    "Checkpoint",
    "DamagedArraysError",
    "Kernel",
    "Member",
    "Record",
    "Run",
    "RunStatus",
    "RunStore",
    "Scores",
    "TrainingRecord",
    "as_json",
    "describe",
    "describe_all",
    "now",
    "unreadable_as_json",
]
