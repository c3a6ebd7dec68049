"""The study of a search: Optuna's SQLite file, from which a search is continued and shared.

Several commands, also on other machines that see the folder, may work on one study at a time. A
trial whose process is gone is continued by whichever asks next.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import optuna
from filelock import Timeout
from optuna.exceptions import UpdateFinishedTrialError
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from pipeline.common import files
from pipeline.common.errors import ClaimedError, PipelineError
from pipeline.common.text import printable
from pipeline.recipe.keys import Settings
from pipeline.search.record import Measurement, TrialRecord
from pipeline.search.space import Space
from pipeline.search.trial import Trial, is_alive, spells, state_of

DATABASE = "study.db"
LEAST_COMPLETED = 10
"""Trials from which it is said which settings mattered. Of fewer, the better half is too small."""
PATIENCE = 60.0
"""Seconds for which a command waits until another one has written to the file."""
_NAME = "search"
_MEASUREMENTS, _UNMEASURABLE = "measurements", "unmeasurable"


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what a damaged, full or locked study file raises into PipelineError."""
    in_use = (
        f"another process has kept it from others for {PATIENCE:.0f} s: let it go on, or end it, "
        "and the same command continues"
    )
    try:
        yield
    except Timeout:
        raise PipelineError(f"{folder / DATABASE} is in use; {in_use}") from None
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause: BaseException = error
        while cause.__cause__:  # SQLite's own words
            cause = cause.__cause__
        problem = printable(str(cause).splitlines()[0])
        fix = "mend that, or move the folder away to begin the search anew"
        if "database is locked" in problem:
            fix = in_use
        elif "is full" in problem or "disk I/O error" in problem:
            fix = "make room on the disk, or allow larger files (ulimit -f), and the same command "
            fix += "continues"
        raise PipelineError(f"{folder / DATABASE} cannot be used ({problem}); {fix}") from None


class SearchStudy:
    """The study in a search's folder, made if need be. `start` are the recipe's own settings.

    The sampler is Optuna's recommended one, TPE. The pruner is successive halving (Jamieson and
    Talwalkar, arXiv 1502.07943; asynchronous: Li et al., arXiv 1810.05934). It compares the trials
    at two rungs: after a quarter of the `epochs`, and after half of them. Each time the better half
    of those that got so far goes on.
    """

    def __init__(self, folder: Path, space: Space, start: Settings, epochs: int, seed: int) -> None:
        self.folder = folder
        self._space = space
        self._start = start
        self.rungs = {epochs // 4, epochs // 2} - {0, epochs}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        database = URL.create("sqlite", database=str((folder / DATABASE).resolve()))
        with self._locked():
            storage = optuna.storages.RDBStorage(
                database.render_as_string(), engine_kwargs={"connect_args": {"timeout": PATIENCE}}
            )
            self._study = optuna.create_study(
                study_name=_NAME,
                storage=storage,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.SuccessiveHalvingPruner(
                    min_resource=max(1, epochs // 4), reduction_factor=2
                ),
            )
            is_new = not self._study.get_trials(deepcopy=False)
            # A command that continues a search, or shares it, would draw the same again.
            sampler = optuna.samplers.TPESampler(seed=seed % 2**32 if is_new else None)
            self._study.sampler = sampler
            if is_new:
                self._study.enqueue_trial(dict(start))

    def next_trial(self) -> Trial:
        """Return the next trial to train: one that another process left, or a new one."""
        with self._locked():
            return self._take_left() or self._take(self._study.ask())

    def left_trial(self) -> Trial | None:
        """Return a trial that another process left, None if there is none."""
        with self._locked():
            return self._take_left()

    def _take_left(self) -> Trial | None:
        for one in self._left():
            # Optuna's own way, a new trial with the same settings, would count it twice.
            try:
                trial = self._take(optuna.Trial(self._study, one._trial_id))
            except (ClaimedError, UpdateFinishedTrialError):  # another host has just taken it
                continue
            if not trial.was_pruned:
                return trial
            trial.prune()  # its process ended before it could say so
        return None

    def _take(self, trial: optuna.Trial) -> Trial:
        return Trial(self._study, trial, self.folder, self._space, self._start, self.rungs)

    def has_running_trials(self) -> bool:
        """Return whether a trial is not done: another command trains it, or has left it."""
        return bool(self._running())

    def others_at_work(self) -> bool:
        """Return whether a trial is still being trained, by this command or another one."""
        return any(is_alive(one, self.folder) for one in self._running())

    def _left(self) -> list[FrozenTrial]:
        idle = {one.number for one in self._running() if not is_alive(one, self.folder)}
        # A trial may have ended between the two looks. Its end is noted before it is released.
        return [one for one in self._running() if one.number in idle] if idle else []

    def _running(self) -> list[FrozenTrial]:
        running: list[FrozenTrial]
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return running

    def minutes(self) -> float:
        """Return how long any trial was being trained, in minutes of wall time."""
        total, end = 0.0, 0.0
        trials = self._study.get_trials(deepcopy=False)
        for begin, until in sorted(spell for one in trials for spell in spells(one, self.folder)):
            total += max(0.0, until - max(begin, end))
            end = max(end, until)
        return total / 60

    def records(self) -> list[TrialRecord]:
        """Return the trials that have begun, by number."""
        unmeasurable = self._study.user_attrs.get(_UNMEASURABLE, {})
        return [
            TrialRecord(
                number=one.number,
                state="failed" if str(one.number) in unmeasurable else state_of(one, self.folder),
                value=None if one.state == TrialState.FAIL else _value(one),
                epochs=one.user_attrs.get("epochs", 0),
                seconds=one.user_attrs.get("seconds", 0),
                settings=one.user_attrs.get("settings", {}),
                reason=unmeasurable.get(str(one.number), one.user_attrs.get("reason", "")),
            )
            for one in self._study.get_trials(deepcopy=False)
            if one.state != TrialState.WAITING
        ]

    def measurements(self) -> list[Measurement]:
        """Return the measurements so far, in their order."""
        stored = self._study.user_attrs.get(_MEASUREMENTS, [])
        return [Measurement.model_validate(one) for one in stored]

    def add_measurement(self, measured: Measurement) -> None:
        """Keep a measurement, unless another host, which sees no lock here, has just made it."""
        before = self.measurements()
        if any((one.settings, one.seeds) == (measured.settings, measured.seeds) for one in before):
            return
        stored = [one.model_dump(mode="json") for one in (*before, measured)]
        self._study.set_user_attr(_MEASUREMENTS, stored)

    def note_unmeasurable(self, number: int, reason: str) -> None:
        """Count a completed trial as failed, because its measurement fails."""
        known = self._study.user_attrs.get(_UNMEASURABLE, {})
        self._study.set_user_attr(_UNMEASURABLE, {**known, str(number): reason})

    def importance(self) -> dict[str, float]:
        """Return how much each setting mattered, in shares that sum to 1, the highest first.

        It is Optuna's PED-ANOVA (Watanabe et al., arXiv 2304.10255): what sets the better half of
        the completed trials apart. Its default, the best tenth, is one or two trials here. Empty
        with fewer than `LEAST_COMPLETED`, or where all have the same accuracy.
        """
        completed = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(completed) < LEAST_COMPLETED or len({trial.value for trial in completed}) < 2:
            return {}
        evaluator = PedAnovaImportanceEvaluator(target_quantile=0.5)
        shares = get_param_importances(self._study, evaluator=evaluator)
        return {key: float(share) for key, share in shares.items()}

    def _locked(self) -> AbstractContextManager[None]:
        return files.locked(self.folder / ".lock", patience=PATIENCE)


def _value(trial: FrozenTrial) -> float | None:
    """Return a trial's result, or the accuracy of its last epoch so far."""
    values: dict[int, float] = trial.intermediate_values
    value: float | None = trial.value
    return values[max(values)] if value is None and values else value
