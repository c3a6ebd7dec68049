"""The settings of the runs: for the page's diff, and as texts of one run."""

from collections.abc import Sequence

from pipeline.common.text import printable
from pipeline.evaluation.comparison.model import Setting
from pipeline.runs import Record, Run, TrainingRecord

Facts = dict[str, str]
"""Texts by what they are, in the order to show them."""


def of_record(record: Record) -> dict[str, Setting]:
    """Return all settings of a run by dotted key, and the versions of its code and libraries.

    An average has "average", the runs that it averages, in place of a recipe's settings.
    """
    found: dict[str, Setting] = {}
    if isinstance(record, TrainingRecord):
        for table, values in record.recipe.model_dump(mode="json", exclude={"name"}).items():
            if isinstance(values, dict):
                found |= {f"{table}.{key}": value for key, value in values.items()}
            else:
                found[table] = values
        found["code"] = record.code_fingerprint[:8]
    else:
        found["average"] = " + ".join(record.parents)
    return found | {f"library {name}": version for name, version in record.versions.items()}


def table(runs: Sequence[Run]) -> dict[str, object]:
    """Return the settings of all runs with each key once: the keys, and the values by run."""
    by_run = {run.id: of_record(run.record) for run in runs}
    keys = list(dict.fromkeys(key for values in by_run.values() for key in values))
    return {
        "keys": keys,
        "runs": {run: [values.get(key) for key in keys] for run, values in by_run.items()},
    }


def text(value: Setting) -> str:
    """Return a value as a recipe file has it; "none" for a key that is left out."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def recipe_facts(record: Record) -> Facts:
    """Return the settings as texts, without the libraries."""
    return {
        key: text(value)
        for key, value in of_record(record).items()
        if not key.startswith("library ")
    }


def machine_facts(record: Record) -> Facts:
    """Return on what the run was trained: hardware, executor, versions of the libraries."""
    found: Facts = {}
    if isinstance(record, TrainingRecord):
        found = {"executor": record.executor} if record.executor else {}
        for key, fact in record.hardware.items():
            found[key] = ", ".join(fact) or "none" if isinstance(fact, list) else text(fact)
    return found | dict(record.versions)


def origin_facts(record: Record) -> Facts:
    """Return where the run comes from: data, split, time, commit, and how long it took."""
    practice = f" (seed {record.practice_seed})" if record.source == "practice" else ""
    commit = str(record.git.get("commit") or "unknown")[:12]
    changed = " with uncommitted changes" if record.git.get("dirty") else ""
    found = {
        "recipe": record.recipe_name,
        "source": printable(f"{record.source}{practice}", 500),
        "data": record.data_fingerprint[:12],
        "split": record.split_fingerprint[:12],
        "created": record.created_at,
        "commit": f"{commit}{changed}",
    }
    for name, seconds in record.timings.items():
        found[f"{name.removesuffix('_seconds')} (minutes)"] = f"{seconds / 60:.1f}"
    return found
