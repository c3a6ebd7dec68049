"""The command `search`: looks for better settings of a recipe, then measures what it found."""

import math
import time
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.common import files, provenance
from pipeline.common.errors import PipelineError
from pipeline.common.startup import quiet_start
from pipeline.executors.plan import arrange
from pipeline.recipe import as_toml
from pipeline.runs import now
from pipeline.search import record as search_record
from pipeline.search.record import Measurement, SearchRecord, TrialRecord
from pipeline.search.space import Space, chosen_space, offered_space, own_values
from pipeline.search.text import describe_trial, recipe_header, space_lines
from pipeline.stages import tracked
from pipeline.stages.context import Context
from pipeline.stages.identity import code_fingerprint
from pipeline.stages.search_measure import UnmeasurableError, check_measurable, measure
from pipeline.stages.search_plan import SearchPlan
from pipeline.stages.train import network_source

if TYPE_CHECKING:
    from pipeline.search.study import SearchStudy

EXECUTORS = ("auto", "serial", "processes")
FOR_TRIALS = 1 / 3
"""The least share of the minutes that trials get, however long the measurement takes."""


def search(context: Context, plan: SearchPlan) -> SearchRecord:
    """Try settings for as long as the plan says, measure the best ones, and return the record.

    The same command continues a search. Raises PipelineError.
    """
    _check(context)
    # Optuna takes a second to import. A mistake in what was typed need not wait for it.
    one = Search(context, plan)
    from pipeline.search.study import storage_errors

    with storage_errors(one.folder):
        return one.run()


def _check(context: Context) -> None:
    executor = context.request.executor
    if executor not in EXECUTORS:
        raise PipelineError(
            f"EXECUTOR is {executor!r}; make search trains on this machine: use one of "
            f"{', '.join(EXECUTORS)}"
        )
    if not find_spec("optuna"):
        raise PipelineError("Optuna is not installed; make search installs it")
    tracked.check(context)  # the measurement's runs are logged, hours later


class Search:
    """One search: its folder, its study and its record."""

    def __init__(self, context: Context, plan: SearchPlan) -> None:
        self._plan = plan
        self._context = context.with_recipe(plan.one_network({}))
        self._source = network_source(plan.start)
        with quiet_start():
            from pipeline import networks
            from pipeline.training import hardware

        if self._source is not None:
            networks.register_file(self._source)
        if plan.start.members.gpus == 0:
            hardware.hide_gpus()
        self._devices = hardware.count_devices()
        networks.check(plan.start.network.name, plan.start.network.dropout_rates)
        rates = networks.own_dropout_rates(plan.start.network.name)
        values = own_values(plan.start, rates)
        self.space: Space = chosen_space(plan.vary, offered_space(values, rates), values)
        self.start = {key: values[key] for key in self.space}
        for key, one in self.space.items():
            for value in one.extremes:
                network = plan.check(key, value, self.space).network
                networks.check(network.name, network.dropout_rates)
        check_measurable(self._context, plan)
        self.folder = self._context.store.folder / search_record.FOLDER / self._name()
        self.record = self._record()

    def _name(self) -> str:
        """Return the search's name: equal for equal settings, data, code and libraries."""
        recipe = self._plan.start
        identity = {
            "recipe": recipe.model_dump(mode="json", exclude={"network": {"file"}}),
            "space": {key: str(one) for key, one in self.space.items()},
            "data": self._context.dataset.fingerprint,
            "code": [code_fingerprint(one, self._source) for one in self._networks()],
            "versions": provenance.versions(),
        }
        return f"{recipe.name}-{provenance.hash_of(identity)[:8]}"

    def _networks(self) -> list[str]:
        varied = self.space.get("network.name")
        own = self._plan.start.network.name
        return [str(one) for one in varied.extremes] if varied else [own]

    def _record(self) -> SearchRecord:
        """Return the record in the search's folder, or a new one."""
        if (self.folder / search_record.RECORD_FILE).exists():
            return search_record.read(self.folder)
        return SearchRecord(
            id=self.folder.name,
            recipe_name=self._plan.start.name,
            command=self._context.request.command,
            created_at=now(),
            rows=len(self._context.splits[0].validation_rows),
            space={key: str(one) for key, one in self.space.items()},
        )

    @cached_property
    def study(self) -> "SearchStudy":
        """The search's study, opened or made."""
        from pipeline.search.study import SearchStudy

        recipe = self._plan.start
        epochs = recipe.training.epochs
        return SearchStudy(self.folder, self.space, self.start, epochs, recipe.seed)

    def run(self) -> SearchRecord:
        """Train trials, measure the winner, and write its recipe."""
        self._update()
        for line in space_lines(self.record):
            self._context.report(line)
        try:
            while self._has_time() or self.study.has_running_trials():
                self._train_trials()
                self._wait_for_others()
            if not self.record.start:
                raise PipelineError(
                    f"search {self.record.id}: the recipe's own settings are not done; give more "
                    "MINUTES, and the same command continues"
                )
            self._measure()
        except KeyboardInterrupt:
            self._context.report(
                f"search {self.record.id}: interrupted; the same command continues it"
            )
            raise
        return self.record

    def _wait_for_others(self) -> None:
        if self.study.others_at_work():
            self._context.report("waiting for the trials of another command")
        while self.study.others_at_work():
            time.sleep(1)
        self._update()

    def _train_trials(self) -> None:
        # TensorFlow's libraries and Optuna take seconds to import.
        from pipeline.search.trials import Training, train_trials

        cores, gpus = self._devices
        several = self._plan.networks(cores + gpus + 1)
        arrangement = arrange(self._context.request.executor, several, cores, gpus)
        training = Training(
            self._plan.one_network,
            self._context.dataset.labelled,
            self._context.splits[0],
            arrangement,
            gpus,
            self._source,
        )
        with files.scratch_in(self.folder) as scratch:
            train_trials(self.study, training, scratch, self._has_time, self._update)

    def _has_time(self) -> bool:
        """Return whether another trial may begin: the measurement has its share of the time."""
        budget = self._plan.minutes - self._measuring_minutes()
        return self.study.minutes() < max(budget, self._plan.minutes * FOR_TRIALS)

    def _measuring_minutes(self) -> float:
        """Estimate how long the measurement will take, from trial 0. 0 before that is done."""
        start, (cores, gpus) = self.record.start, self._devices
        if not start:
            return 0.0
        recipe = self._plan.measured({}, 0)
        at_once = arrange(self._context.request.executor, recipe, cores, gpus).at_once
        rounds = 2 * self._plan.seeds * math.ceil(self._plan.folds / at_once)
        return rounds * start.seconds / 60

    def _update(self) -> None:
        """Bring the record up to date with the study, and report the trials that ended."""
        known = [one for one in self.record.trials if _has_ended(one)]
        from pipeline.search.study import DATABASE, PATIENCE

        with files.locked(self.folder / ".record", patience=PATIENCE):
            before, trials = self._record(), self.study.records()
            if len(trials) < len(before.trials):
                raise PipelineError(
                    f"{self.folder / DATABASE} has {len(trials)} of the {len(before.trials)} "
                    f"trials in {search_record.RECORD_FILE}; bring {DATABASE} back, or move the "
                    "folder away to begin the search anew"
                )
            self.record = before.model_copy(
                update={
                    "trials": trials,
                    "minutes": self.study.minutes(),
                    "importance": self.study.importance(),
                    "measurements": self.study.measurements(),
                    "recipe_file": str(self._recipe_file) if self._recipe_file.exists() else "",
                }
            )
            self.record.save(self.folder)
        for one in trials:
            if _has_ended(one) and one not in known:
                self._context.report(describe_trial(one, self.record))
                if one == self.record.start:
                    self._context.report(
                        "the measurement at the end will take about "
                        f"{math.ceil(self._measuring_minutes())} min"
                    )

    @property
    def _recipe_file(self) -> Path:
        return self.folder / f"{self._plan.start.name}_found.toml"

    def _measure(self) -> None:
        """Train winner and start anew, unless that is done, and write the winner's recipe."""

        def say_waiting() -> None:
            self._context.report("waiting for another command, which measures what was found")

        with files.locked(self.folder / ".measuring", say_waiting):
            self._update()
            while (winner := self.record.completed[0]).number:
                try:
                    measured = self._measurement(winner)
                except UnmeasurableError as error:
                    self.study.note_unmeasurable(winner.number, str(error))
                    self._update()
                else:
                    header = recipe_header(self.record, winner, measured)
                    text = header + as_toml(self._plan.whole(winner.settings))
                    files.write_text(self._recipe_file, text)
                    break
            else:
                self._recipe_file.unlink(missing_ok=True)
            self._update()

    def _measurement(self, winner: TrialRecord) -> Measurement:
        """Return the winner's measurement, the one that is there or a new one."""
        earlier = self.record.measurement_of(winner, self._plan.measured_seeds)
        if earlier:
            return earlier
        count = len(self.record.measurements) + 1
        measured = measure(self._context, self._plan, winner, count)
        self.study.add_measurement(measured)
        self._update()
        return measured


def _has_ended(trial: TrialRecord) -> bool:
    return trial.state in ("completed", "pruned", "failed")
