"""One trial of a search in Optuna's study: what this process notes of it, and how others read it.

A trial that Optuna counts as running is in training, or its process is gone: then it is to be
continued. The first trial, with the recipe's own settings, is so after a failure too.
"""

import time
from collections.abc import Iterator, Set
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from pipeline.recipe.keys import Settings
from pipeline.runs import RESUME_FILE, claim
from pipeline.search.record import TrialState as State
from pipeline.search.space import Space

FOLDER = "trials"
"""In the folder of a search: one folder per trial."""


class Trial:
    """A trial that this process trains: its number, its settings, and what comes of it.

    `start` are the recipe's own settings, which trial 0 has. `rungs` are the epochs after which
    trials are compared. `folder` is the search's.
    """

    def __init__(
        self,
        study: optuna.Study,
        trial: optuna.Trial,
        folder: Path,
        space: Space,
        start: Settings,
        rungs: Set[int],
    ) -> None:
        self._study = study
        self._trial = trial
        self._rungs = rungs
        self.number: int = trial.number
        self.folder = folder / FOLDER / str(self.number)
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as hold:
            self._claim = hold.enter_context(claim.claimed(self.folder))
            self._begin(space, start)
            self._hold = hold.pop_all()

    def _begin(self, space: Space, start: Settings) -> None:
        noted: dict[str, Any] = self._trial.user_attrs
        self.was_pruned: bool = noted.get("pruned", False)
        self._reported = set(self._stored.intermediate_values)
        self._slept = self._claim.slept()
        self._spells: list[list[float]] = [*noted.get("spells", []), [time.time(), time.time()]]
        if "settings" not in noted:  # a file of an earlier study would be another network's
            (self.folder / RESUME_FILE).unlink(missing_ok=True)
        self._note(reason="", spells=self._spells)
        drawn = {key: one.draw(self._trial, key) for key, one in space.items()}
        self.settings: Settings = drawn if self.number else dict(start)
        self._note(settings=self.settings)

    def end_epoch(self, epoch: int, accuracy: float, seconds: float) -> bool:
        """Record an epoch. Return whether to stop: the trial is pruned or lost to another host.

        The first trial is never pruned.
        """
        if self.is_lost():
            return True
        with suppress(UpdateFinishedTrialError):  # lost since the line before
            if epoch not in self._reported:  # else it is trained again after a failure
                self._trial.report(accuracy, epoch)
                self._reported.add(epoch)
            self._note(epochs=epoch, seconds=seconds, spells=self._until_now())
            # Trial 0 is asked too: the others are compared with it.
            pruned = epoch in self._rungs and self._trial.should_prune() and self.number > 0
            if pruned:
                self._note(pruned=True)
            return pruned
        return True

    def complete(self, accuracy: float) -> None:
        """Record the trial's result."""
        self._end(TrialState.COMPLETE, accuracy)

    def prune(self) -> None:
        """Record that the trial was stopped, as it was among the worse ones so far."""
        self._end(TrialState.PRUNED)

    def fail(self, reason: str) -> None:
        """Record why the trial failed. The recipe's own settings are to be tried again."""
        self._end(TrialState.FAIL if self.number else None, reason=reason)

    def release(self) -> None:
        """Leave the trial to whichever command asks next."""
        self._hold.close()

    def _end(self, state: TrialState | None, value: float | None = None, **notes: str) -> None:
        try:
            if self.is_lost():
                return
            with suppress(UpdateFinishedTrialError):  # lost since the line before
                self._note(spells=self._until_now(), **notes)
                if state is not None:
                    self._study.tell(self._trial, value, state, skip_if_finished=True)
            (self.folder / RESUME_FILE).unlink(missing_ok=True)
        finally:
            self.release()

    @property
    def _stored(self) -> FrozenTrial:
        trials: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials[self.number]

    def is_lost(self) -> bool:
        """Return whether another host has taken the trial, or ended it, while this one slept."""
        return self._claim.is_lost() or self._stored.state.is_finished()

    def _until_now(self) -> list[list[float]]:
        """Return the times of training until now, without those in which this process slept."""
        now, slept = time.time(), self._claim.slept()
        if slept > self._slept:
            until = self._spells[-1][1]
            self._spells.append([min(now, until + slept - self._slept), now])
            self._slept = slept
        self._spells[-1][1] = now
        return self._spells

    def _note(self, **values: Any) -> None:
        for name, value in values.items():
            self._trial.set_user_attr(name, value)


def is_alive(trial: FrozenTrial, folder: Path) -> bool:
    """Return whether a process trains a trial of the search in `folder`."""
    return claim.is_claimed(folder / FOLDER / str(trial.number))


def state_of(trial: FrozenTrial, folder: Path) -> State:
    """Return the state of a trial that has begun, in the words of the record."""
    match trial.state:
        case TrialState.COMPLETE:
            return "completed"
        case TrialState.PRUNED:
            return "pruned"
        case TrialState.FAIL:
            return "failed"
    if is_alive(trial, folder):
        return "running"
    return "failed" if trial.user_attrs.get("reason") else "interrupted"


def spells(trial: FrozenTrial, folder: Path) -> Iterator[tuple[float, float]]:
    """Yield when a process began to train a trial, and until when it did, in seconds since 1970."""
    found: list[list[float]] = trial.user_attrs.get("spells", [])
    is_running = trial.state == TrialState.RUNNING and is_alive(trial, folder)
    for number, (begin, until) in enumerate(found, start=1):
        yield begin, time.time() if is_running and number == len(found) else until
