"""What MLflow shows of a run: one entry for the run, and one for each of its members."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.common.files import sha256
from pipeline.common.text import printable
from pipeline.competitions.ledger import Upload
from pipeline.evaluation import png_files
from pipeline.recipe.keys import flatten
from pipeline.runs import Member, Run, RunStatus, TrainingRecord
from pipeline.tracking.epochs import Epoch, created, epochs_of

STATUSES: dict[RunStatus, str] = {
    "pending": "SCHEDULED",
    "running": "RUNNING",
    "interrupted": "KILLED",
    "failed": "FAILED",
    "done": "FINISHED",
}
"""MLflow's words for the states of runs and members."""

PREFIX = "digit-recognizer."
"""The beginning of the names of the tags that the pipeline gives."""

LONGEST_TAG = 500  # characters


@dataclass(frozen=True)
class Entry:
    """One run as MLflow understands it: `tags` can change, `parameters` cannot.

    `started` and `ended` are seconds since 1970, `ended` is None while it goes on. `scores` are
    single values, `epochs` a member's epochs, None where its history is missing or damaged. `files`
    are those that exist.
    """

    name: str
    status: str
    started: float
    ended: float | None
    tags: dict[str, str]
    parameters: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    epochs: Sequence[Epoch] | None = ()
    files: Sequence[Path] = ()


def key_tags(run: Run) -> dict[str, str]:
    """Return the tags by which a run and its members are found again on a server."""
    return {
        f"{PREFIX}run": run.id,
        f"{PREFIX}identity": run.record.identity,
        f"{PREFIX}created_at": run.record.created_at or "unknown",
    }


def entry_of_run(run: Run, submissions: Path, uploads: Sequence[Upload]) -> Entry:
    """Return the entry of a whole run.

    `submissions` is the folder of the CSVs, `uploads` are the ledger's rows.
    """
    record, csv = run.record, submissions / f"{run.id}.csv"
    state, started = run.state(), created(run)
    files = [png_files.mistakes_file(run), csv, csv.with_suffix(".png")]
    about = {
        "recipe": record.recipe_name,
        "source": record.source,
        "practice_seed": str(record.practice_seed),
        "command": record.command,
        "reason": record.reason,
        "data": record.data_fingerprint[:12],
        "split": record.split_fingerprint[:12],
        **{f"version.{name}": version for name, version in record.versions.items()},
    }
    if isinstance(record, TrainingRecord):
        about["executor"] = record.executor
    git = {"mlflow.source.git.commit": str(record.git["commit"])} if "commit" in record.git else {}
    return Entry(
        name=run.id,
        status=STATUSES[state],
        started=started,
        ended=None if state == "running" else started + sum(record.timings.values()),
        tags={**key_tags(run), **_tags(about), **git},
        parameters=_parameters(run),
        scores=_scores(run, csv, uploads),
        files=[path for path in files if path.is_file()],
    )


def entry_of_member(run: Run, member: Member) -> Entry:
    """Return the entry of one member. `member` has its present state, as `Run.members` gives it."""
    started, pictures = created(run), png_files.curve_files(run)
    about = {
        "member": str(member.index),
        "attempt": str(member.attempt),
        "device": member.device,
        "reason": member.reason,
    }
    try:
        epochs = epochs_of(run, member)
    except ValueError:  # a run works without its histories
        epochs = None
    return Entry(
        name=f"{run.id} member {member.index + 1}",
        status=STATUSES[member.status],
        started=started,
        ended=None if member.status == "running" else started + member.seconds,
        tags={**key_tags(run), **_tags(about)},
        parameters={
            "member": str(member.index + 1),
            "fold": str(member.fold),
            "seed": str(member.seed),
        },
        epochs=epochs,
        files=[path for path, index in pictures.items() if index == member.index and path.exists()],
    )


def _tags(values: dict[str, str]) -> dict[str, str]:
    """Return what is known as tags of the pipeline."""
    return {f"{PREFIX}{name}": printable(one, LONGEST_TAG) for name, one in values.items()}


def _parameters(run: Run) -> dict[str, str]:
    """Return a run's settings by dotted key as a recipe writes them, or the runs it averages."""
    if not isinstance(run.record, TrainingRecord):
        return {"average_of": printable(" ".join(run.record.parents), LONGEST_TAG)}
    settings = flatten(run.record.recipe.model_dump(exclude={"name"}).items(), "the recipe")
    return {"recipe": run.record.recipe_name} | {
        key: str(value).lower() if value is None or isinstance(value, bool) else str(value)
        for key, value in settings.items()
    }


def _scores(run: Run, csv: Path, uploads: Sequence[Upload]) -> dict[str, float]:
    """Return the scores that a run has so far: shares in [0, 1], log loss, and seconds."""
    # While a run trains, its times change with every epoch.
    values: dict[str, float | None] = dict(run.record.timings if run.state() == "done" else {})
    if scores := run.record.scores:
        low, high = scores.interval
        values |= {
            "validation_accuracy": scores.validation_accuracy,
            "validation_accuracy_low": low,
            "validation_accuracy_high": high,
            "validation_log_loss": scores.log_loss,
            "test_accuracy": scores.test_accuracy,
            "training_accuracy": scores.training_accuracy,
        }
    checksum = sha256(csv) if csv.is_file() else ""
    public = [one.public_score for one in uploads if one.sha256 == checksum]
    values["public_score"] = next((one for one in reversed(public) if one is not None), None)
    return {name: value for name, value in values.items() if value is not None}
