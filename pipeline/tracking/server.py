"""An MLflow server, or a database of MLflow's: finds what is there of a run, and adds the rest."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.common.errors import PipelineError
from pipeline.common.files import locked, replacing, sha256
from pipeline.common.text import printable
from pipeline.competitions.ledger import Ledger
from pipeline.runs import Run
from pipeline.tracking.address import EXPERIMENT_VARIABLE
from pipeline.tracking.entry import PREFIX, Entry, entry_of_member, entry_of_run, key_tags

if TYPE_CHECKING:
    from mlflow.entities import Run as Found

EXPERIMENT = "digit-recognizer"
"""The experiment that the runs are in, unless MLFLOW_EXPERIMENT_NAME names another."""

MOST_FOUND = 10_000
"""More than a run and its members."""

EPOCHS_PER_BATCH = 100  # of about 7 metrics; MLflow takes 1,000 metrics at once
PARAMETERS_PER_BATCH = 100  # MLflow's limit, of tags too

PATIENCE = 60.0
"""Seconds that a process waits for others that log to MLflow. Then it is one that stands still."""

LAST_EPOCH = "epoch"
"""The metric that says how many epochs of a member are logged."""


class Server:
    """A server on which runs are logged.

    A run and its members are found again by their tags, so each is there once, whoever logs it how
    often, and if a process was killed meanwhile. MLflow never changes a parameter: one that is
    there keeps its value. The methods raise what MLflow raises, and PipelineError.
    """

    def __init__(self, uri: str) -> None:
        """Take the address. The first `log` makes a database where there is none."""
        self._uri = uri
        self._experiment_id = ""
        self._changes = 0

    def log(self, run: Run, ledger: Ledger) -> bool:
        """Bring the server up to date with a run's folder. Return whether anything was missing.

        `ledger` is the one in the folder of the CSVs. Other processes that log wait meanwhile.
        """
        self._changes = 0
        with locked(run.folder.parent / ".mlflow.lock", patience=PATIENCE):
            if not self._experiment_id:
                self._connect()
            found = self._find(run)
            entry = entry_of_run(run, ledger.path.parent, ledger.uploads())
            own = self._bring_up(entry, found.get("", []))
            for member in [] if run.record.parents else run.members():
                part = entry_of_member(run, member)
                part.tags["mlflow.parentRunId"] = own.info.run_id
                self._set_status(part, self._bring_up(part, found.get(str(member.index), [])))
            self._set_status(entry, own)  # last: what is shown as finished is complete
        return self._changes > 0

    def _connect(self) -> None:
        from mlflow import MlflowClient

        _make_database(self._uri)
        self._client = MlflowClient(tracking_uri=self._uri)
        self._experiment_id = self._find_experiment()

    def _find_experiment(self) -> str:
        """Return the experiment's id. It is made where it is not there."""
        name = os.environ.get(EXPERIMENT_VARIABLE) or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        if found and found.lifecycle_stage == "deleted":
            raise PipelineError(
                f"the experiment {printable(repr(name))} is deleted there; restore it, or name "
                f"another with {EXPERIMENT_VARIABLE}"
            )
        return _given(found.experiment_id if found else self._client.create_experiment(name))

    def _find(self, run: Run) -> dict[str, list[Found]]:
        """Return what is there of a run by the member that it is of, "" for the run itself."""
        tags = key_tags(run).items()
        condition = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags)
        by_member: dict[str, list[Found]] = {}
        for one in self._client.search_runs(
            [self._experiment_id], condition, max_results=MOST_FOUND
        ):
            by_member.setdefault(one.data.tags.get(f"{PREFIX}member", ""), []).append(one)
        return by_member

    def _bring_up(self, entry: Entry, found: Sequence[Found]) -> Found:
        """Add what is missing of an entry, and delete what is there of it and does not belong.

        What belongs is one run whose epochs are the beginning of the entry's. Others are of an
        attempt that no longer counts, or were made by a request that was taken for lost.
        """
        fitting = [one for one in found if _fits(one, entry)]
        fitting.sort(key=lambda one: (-one.data.metrics.get(LAST_EPOCH, 0), one.info.run_id))
        own = fitting[0] if fitting else self._create(entry)
        for one in found:
            if one is not own:
                self._client.delete_run(one.info.run_id)
                self._changes += 1
        self._add_values(entry, own)
        self._add_epochs(entry, own)
        self._add_files(entry, own)
        return own

    def _create(self, entry: Entry) -> Found:
        """Make a run with all its tags at once, so that it can be found from then on."""
        made: Found = self._client.create_run(
            self._experiment_id, round(entry.started * 1000), entry.tags, entry.name
        )
        _given(made.info.run_id)
        self._changes += 1
        return made

    def _add_values(self, entry: Entry, own: Found) -> None:
        """Log parameters that are missing, and tags and scores that are missing or changed."""
        from mlflow.entities import Metric, Param, RunTag

        tags = [RunTag(*one) for one in entry.tags.items() - own.data.tags.items()]
        params = [Param(*one) for one in entry.parameters.items() if one[0] not in own.data.params]
        changed = entry.scores.items() - own.data.metrics.items()
        time_ms = round(time.time() * 1000)
        scores = [Metric(name, value, time_ms, 0) for name, value in changed]
        for start in range(0, max(len(tags), len(params), bool(scores)), PARAMETERS_PER_BATCH):
            end = start + PARAMETERS_PER_BATCH
            self._client.log_batch(
                own.info.run_id, scores[start:end], params[start:end], tags[start:end]
            )
            self._changes += 1

    def _add_epochs(self, entry: Entry, own: Found) -> None:
        """Log the epochs that are missing. Those of a batch arrive together, or not at all."""
        from mlflow.entities import Metric

        epochs = (entry.epochs or ())[int(own.data.metrics.get(LAST_EPOCH, 0)) :]
        for start in range(0, len(epochs), EPOCHS_PER_BATCH):
            metrics = [
                Metric(name, value, round(epoch.ended * 1000), epoch.number)
                for epoch in epochs[start : start + EPOCHS_PER_BATCH]
                for name, value in {**epoch.metrics, LAST_EPOCH: float(epoch.number)}.items()
            ]
            self._client.log_batch(own.info.run_id, metrics)
            self._changes += 1

    def _add_files(self, entry: Entry, own: Found) -> None:
        """Log files that are missing or changed. Each is noted by its checksum once it is there."""
        for path in entry.files:
            name, checksum = f"{PREFIX}sha256.{path.name}", sha256(path)
            if own.data.tags.get(name) != checksum:
                self._client.log_artifact(own.info.run_id, path)
                self._client.set_tag(own.info.run_id, name, checksum)
                self._changes += 1

    def _set_status(self, entry: Entry, own: Found) -> None:
        """Set the state of a run, and when it ended, where these differ."""
        ended = None if entry.ended is None else round(entry.ended * 1000)
        if own.info.status == entry.status and ended in (None, own.info.end_time):
            return
        if ended is None:
            self._client.update_run(own.info.run_id, entry.status)
        else:
            self._client.set_terminated(own.info.run_id, entry.status, ended)
        self._changes += 1


def _make_database(uri: str) -> None:
    """Make the SQLite database at an address, where there is none, wholly or not at all.

    MLflow makes one in steps, for some seconds, and refuses what a killed process has left. It asks
    for minutes for one that cannot be opened: raises PipelineError at once.
    """
    from mlflow import MlflowClient
    from sqlalchemy import make_url

    if not uri.startswith("sqlite"):
        return
    url = make_url(uri)
    path = Path(url.database or ":memory:")
    if path.name == ":memory:":
        return
    if path.exists() != path.is_file() or not path.parent.is_dir():
        found = "is no file" if path.exists() else "is in a folder that does not exist"
        raise PipelineError(f"{printable(path)} {found}; name a file in a folder that exists")
    if path.exists():
        return
    with replacing(path) as temporary:
        MlflowClient(str(url.set(database=str(temporary)))).search_experiments(max_results=1)


def _given(identifier: str) -> str:
    """Return an id that a server gave. Raises ValueError if it gave none."""
    if not identifier:
        raise ValueError("its answer is none of MLflow's")
    return identifier


def _fits(found: Found, entry: Entry) -> bool:
    """Return whether the epochs that are logged are the first ones of the entry's."""
    done = int(found.data.metrics.get(LAST_EPOCH, 0))
    if not entry.epochs:
        return entry.epochs is None or done == 0
    if done > len(entry.epochs):
        return False
    logged = {name: value for name, value in found.data.metrics.items() if name != LAST_EPOCH}
    return logged == (entry.epochs[done - 1].metrics if done else {})
