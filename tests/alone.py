"""One member trained by itself, with the recorder of a real run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.common.progress import RunProgress, ignore
from pipeline.data.digits import Digits
from pipeline.executors.recorder import Recorder
from pipeline.recipe import Recipe
from pipeline.runs import RESUME_FILE, AverageRecord, Member, Run, RunStore, TrainingRecord
from pipeline.training.events import Event, StepEnded, Validating
from pipeline.training.hardware import prepare
from pipeline.training.loop import train_member


def no_stop(member: Member) -> None:
    """Do nothing."""


class StoppableRecorder(Recorder):
    """A recorder that calls `on_record` right after each change of the member's record."""

    on_record: Callable[[Member], None] = staticmethod(no_stop)

    def _update(self, member: Member) -> None:
        super()._update(member)
        self.on_record(member)


@dataclass
class Alone:
    """A run of one member in the folder `root`, and the events of its last training."""

    root: Path
    events: list[Event] = field(default_factory=list)
    recorded: list[Member] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """The run. There is one in `root`."""
        (run,) = RunStore(self.root).all()
        return run

    @property
    def folder(self) -> Path:
        """The member's folder."""
        return self.run.member_folder(0)

    @property
    def member(self) -> Member:
        """The member's record."""
        return self.run.record.members[0]

    def train(
        self,
        settings: Recipe,
        training: Digits,
        validation: Digits,
        on_record: Callable[[Member], None] = no_stop,
        member: Member | None = None,
    ) -> Member:
        """Train the member, or continue it, and return its record.

        `on_record` may raise to stop the training. `member` replaces its record.
        """
        self.events, self.recorded = [], []
        run = self._open(settings, member)
        resume = run.member_folder(0) / RESUME_FILE
        with RunProgress(ignore, 1, settings.training.epochs, {0: 0}) as progress:
            recorder = StoppableRecorder(run, progress, ignore)

            def note(member: Member) -> None:
                self.recorded.append(member)
                on_record(member)

            recorder.on_record = note

            def on_event(event: Event) -> None:
                if not isinstance(event, StepEnded | Validating):
                    self.events.append(event)
                recorder.on_event(event)

            train_member(
                settings,
                run.record.members[0],
                training,
                validation,
                hardware=prepare(settings.training),
                scratch=run.folder / ".scratch",
                on_event=on_event,
                resume=resume.read_bytes() if resume.exists() else None,
            )
        return self.member

    def _open(self, settings: Recipe, member: Member | None) -> Run:
        if not list(self.root.glob("*/run.json")):
            first = Member(index=0, seed=settings.seed, status="pending")
            RunStore(self.root).create(training_record(recipe=settings, members=[first]))
        run = self.run
        if member:
            run.record.members = [member]
        return run


def training_record(name: str = "quick-s0-12345678", **changes: object) -> TrainingRecord:
    """Return the record of a run that is being trained, with these changes."""
    values = {
        "id": name,
        "identity": name,
        "status": "running",
        "recipe": {"name": "quick"},
        "recipe_name": "quick",
        "seed": 0,
        "source": "practice",
        "practice_seed": 0,
        "data_fingerprint": "d" * 64,
        "split_fingerprint": "s" * 64,
        "code_fingerprint": "c" * 64,
        "versions": {},
        "git": {},
    }
    return TrainingRecord.model_validate({**values, **changes})


def average_record(name: str, **changes: object) -> AverageRecord:
    """Return the record of an average of runs, with these changes. `parents` must be given."""
    values = training_record(name).model_dump(
        exclude={"kind", "recipe", "seed", "code_fingerprint", "executor", "hardware", "kernels"}
    )
    return AverageRecord.model_validate({**values, **changes})
