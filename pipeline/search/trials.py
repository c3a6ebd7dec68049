"""Trains the trials of a search side by side, in the worker processes of the executor."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.files import replacing
from pipeline.data.digits import Digits
from pipeline.data.split import Split
from pipeline.executors.plan import Arrangement
from pipeline.executors.processes import WorkerSlot, next_events, open_slots
from pipeline.executors.tasks import Task
from pipeline.recipe import Recipe
from pipeline.recipe.keys import Settings
from pipeline.runs import RESUME_FILE, Member
from pipeline.search.progress import trials_in_training
from pipeline.search.study import SearchStudy
from pipeline.search.trial import Trial
from pipeline.training.events import Began, EpochEnded, Event, Failed, Finished

MOST_FAILURES = 15
"""Trials in a row that fail, other than by diverging, after which a search ends."""


@dataclass(frozen=True)
class Training:
    """What all trials of a search share.

    `recipe_of` returns the recipe of one network with some settings; it raises PipelineError where
    they do not fit together. `network_source` is the text of a network file of one's own.
    """

    recipe_of: Callable[[Settings], Recipe]
    labelled: Digits
    split: Split
    arrangement: Arrangement
    gpus: int
    network_source: str | None


@dataclass
class RunningTrial:
    """A trial in a worker, and the validation accuracies that count for it."""

    trial: Trial
    recipe: Recipe
    pruned: bool = False
    tried_again: bool = False
    epochs: int = 0
    kept: list[float] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """The mean of the checkpoints that the recipe keeps: less a matter of luck than one."""
        return sum(self.kept) / len(self.kept)

    def task(self, training: Training) -> Task:
        """Return the task of its network, which continues after its last epoch if there is one."""
        resume = self._resume_file
        return Task(
            self.recipe,
            Member(index=self.trial.number, seed=self.recipe.seed, status="pending"),
            training.split,
            training.arrangement.threads,
            resume.read_bytes() if resume.is_file() else None,
            training.network_source,
        )

    @property
    def _resume_file(self) -> Path:
        return self.trial.folder / RESUME_FILE

    def begin(self, member: Member) -> None:
        """Note how far the trial is. A continued one has its checkpoints already."""
        self.epochs = member.epochs
        self.kept = [one.val_accuracy for one in member.checkpoints]

    def end_epoch(self, event: EpochEnded) -> bool:
        """Record an epoch. Return whether the trial is to be stopped now.

        One that another host has taken over is stopped as if it were pruned.
        """
        if self.pruned:  # the worker had gone on before it was stopped
            return False
        self.begin(event.member)
        self.pruned = self.trial.end_epoch(event.epoch, max(self.kept), event.member.seconds)
        if not self.pruned:
            with replacing(self._resume_file) as temporary:
                temporary.write_bytes(event.files[RESUME_FILE])
        return self.pruned

    def may_try_again(self, failed: Failed) -> bool:
        """Return whether to train on, as once after a failure that need not come again."""
        if self.pruned or failed.diverged or self.tried_again or self.trial.is_lost():
            return False
        self.tried_again = True
        if not self.epochs:  # the resume file, if there is one, may be what fails
            self._resume_file.unlink(missing_ok=True)
        return True

    def end(self, event: Finished | Failed) -> None:
        """Record the trial's end."""
        if self.pruned:  # even if it was done before it could be stopped
            self.trial.prune()
        elif isinstance(event, Finished):
            self.trial.complete(self.accuracy)
        else:
            self.trial.fail(event.reason)


class Trials:
    """The trials that this command trains, by number. `on_change` is called after each."""

    def __init__(
        self, study: SearchStudy, training: Training, on_change: Callable[[], None]
    ) -> None:
        self.running: dict[int, RunningTrial] = {}
        self._study = study
        self._training = training
        self._on_change = on_change
        self._failures = 0

    def close(self) -> None:
        """Leave the trials in training to the next command."""
        for one in self.running.values():
            one.trial.release()

    def fill(self, slot: WorkerSlot, may_begin: Callable[[], bool]) -> None:
        """Give a free slot a trial that is to be continued, or if one may begin, a new one."""
        while not slot.task:
            trial = self._study.next_trial() if may_begin() else self._study.left_trial()
            if trial is None:
                return
            try:
                recipe = self._training.recipe_of(trial.settings)
            except PipelineError as error:  # the settings do not fit together
                trial.fail(str(error))
                self._count_failure(trial.number, str(error))
                continue
            self.running[trial.number] = one = RunningTrial(trial, recipe)
            slot.start(one.task(self._training))

    def on_event(self, slot: WorkerSlot, event: Event) -> None:
        """Record what happened to the trial in a slot. Raises PipelineError to end the search."""
        one = self.running[event.index]
        match event:
            case Began(member=member):
                one.begin(member)
            case EpochEnded():
                if one.end_epoch(event):
                    slot.stop()
            case Failed() if one.may_try_again(event):
                slot.start(one.task(self._training))
            case Finished() | Failed():
                one.end(event)
                del self.running[event.index]
                if isinstance(event, Failed) and not one.pruned:
                    self._count_failure(event.index, event.reason, event.diverged)
                else:
                    self._failures = 0
                    self._on_change()

    def _count_failure(self, number: int, reason: str, diverged: bool = False) -> None:
        self._on_change()
        self._failures = 0 if diverged else self._failures + 1
        if number == 0:
            raise PipelineError(
                f"the recipe's own settings failed ({reason}); mend that, and search again"
            )
        if self._failures == MOST_FAILURES:
            raise PipelineError(
                f"{MOST_FAILURES} trials in a row failed, the last one with: {reason}; mend that, "
                "or change VARY"
            )


def train_trials(
    study: SearchStudy,
    training: Training,
    scratch: Path,
    may_begin: Callable[[], bool],
    on_change: Callable[[], None],
) -> None:
    """Train trials until `may_begin` returns false and all that began are done.

    `on_change` is called after each trial. `scratch` is a folder for temporary files. A trial that
    fails stops no other. Where this raises, the trials are left to the next command. Raises
    PipelineError where trial 0 fails, which has the recipe's own settings, or many trials in a row.
    """
    arrangement = training.arrangement
    with (
        trials_in_training() as show,
        open_slots(
            scratch, training.labelled, arrangement, arrangement.at_once, training.gpus
        ) as slots,
        closing(Trials(study, training, on_change)) as trials,
    ):
        while True:
            for slot in slots:
                trials.fill(slot, may_begin)
            if not trials.running:
                return
            running = trials.running.items()
            show({number: (one.epochs, one.recipe.training.epochs) for number, one in running})
            for slot, event in next_events(slots):
                trials.on_event(slot, event)
