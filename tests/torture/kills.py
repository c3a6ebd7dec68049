"""Kills at random moments in every stage: the command goes on, loses nothing, submits once."""

import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count as numbers
from pathlib import Path

import numpy as np

from pipeline.common.startup import quiet_start
from tests.bench.commands import write_digits
from tests.bench.kills import BEGUN, SETTINGS, differences
from tests.commands import wait_until
from tests.kaggle.files import GOOD, GOOD_ZIP
from tests.kaggle_stand_in import StandIn
from tests.torture.jobs import SIGNALS, VICTIMS, Place
from tests.torture.verdict import DoubleError, LostError, Verdict, check_secrets, workspace

KILLS_PER_TRIAL = 3
EPOCHS = 8
LONGEST_UPLOAD = 6.0
"""Seconds: longer than the same command takes to start again and to read the list."""
KEPT = re.compile(r"\.(.*\.)?lock|\.checked\.json|__autograph_generated_file.*")
"""What may stay: locks, the stamp of checked files, and sources of some kB that a killed TensorFlow
leaves in the folder for temporary files."""
BUSY = "being worked on|still being trained"
FAILURE = re.compile(r"error: .*\n(make: .*\n)*")


@dataclass(frozen=True)
class Stage:
    """A stage to kill. The moments are mostly after a printed line that matches `marker`.

    `base` names the prepared folder that a trial starts from, empty for an empty one.
    """

    name: str
    kaggle: bool
    base: str
    marker: str
    executor: str = "serial"


STAGES = (
    Stage("train", False, "", BEGUN, "serial"),
    Stage("submit", True, "predicted", "uploading"),
    Stage("data", True, "", "downloading"),
    Stage("train", False, "", BEGUN, "processes"),
    Stage("submit", True, "predicted", "uploading"),
    Stage("split", False, "", ""),
    Stage("ensemble", False, "trained", "predicting"),
    Stage("submission", False, "trained", "predicting"),
)


class Kit:
    """What all trials share: digits, prepared folders, and how long each stage takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.whole = Place(folder / "whole", self._variables("serial"))
        self.seconds: dict[Stage, float] = {}
        write_digits(folder / "digits", rows=600, test_rows=200)

    def _variables(self, executor: str) -> dict[str, str]:
        """Return the variables of a stage on the small digits."""
        return {
            "SOURCE": str(self.folder / "digits"),
            "RECIPE": "quick",
            "SET": SETTINGS.format(epochs=EPOCHS),
            "EXECUTOR": executor,
            "HOME": str(self.folder),
        }

    def _kaggle_variables(self, server: StandIn) -> dict[str, str]:
        options = {"SOURCE": "kaggle", "RECIPE": "mlp_50", "SET": "training.epochs=1"}
        return {**server.environment(self.folder), **options, "EXECUTOR": "serial"}

    def prepare(self, stage: Stage) -> None:
        """Make what the stage's trials need, and measure how long the stage takes undisturbed."""
        if stage in self.seconds:
            return
        if not stage.kaggle and not (self.folder / "trained").exists():
            _finished(self.whole, "train")
            shutil.copytree(self.whole.root, self.folder / "trained")
            _finished(self.whole, "submission")
            shutil.rmtree(self.whole.temporary)
        if stage.base == "predicted" and not (self.folder / "predicted").exists():
            with StandIn(zip_bytes=GOOD_ZIP) as server:
                _finished(
                    Place(self.folder / "predicted", self._kaggle_variables(server)), "submission"
                )
        with self.place(stage, self.folder / "measured", LONGEST_UPLOAD) as (place, _):
            started = time.monotonic()
            _finished(place, stage.name)
            self.seconds[stage] = time.monotonic() - started
        shutil.rmtree(self.folder / "measured")

    @contextmanager
    def place(
        self, stage: Stage, root: Path, slow_uploads: float
    ) -> Iterator[tuple[Place, StandIn | None]]:
        """Yield a folder to run the stage in, with Kaggle's stand-in where it needs one."""
        root.mkdir()
        if stage.base:
            for name in ("runs", "submissions"):
                if (self.folder / stage.base / name).exists():
                    shutil.copytree(self.folder / stage.base / name, root / name)
            (root / "data").symlink_to(self.folder / stage.base / "data")
        with ExitStack() as stack:
            if not stage.kaggle:
                yield Place(root, self._variables(stage.executor)), None
                return
            server = stack.enter_context(StandIn(zip_bytes=GOOD_ZIP))
            server.faults.slow_uploads = slow_uploads
            yield Place(root, self._kaggle_variables(server)), server


def _finished(place: Place, stage: str) -> None:
    code, printed = place.finish(stage)
    assert code == 0, printed


class Trial:
    """Some kills of one stage, and the same command again until it has come to its end."""

    def __init__(self, kit: Kit, stage: Stage, place: Place, server: StandIn | None) -> None:
        self.kit, self.stage, self.place, self.server = kit, stage, place, server
        self.kills: list[str] = []
        self.asks = False

    def kill(self, generator: random.Random) -> str:
        """Run the stage and kill something at a random moment. Return what, or an empty text."""
        victims = (
            VICTIMS if self.stage.kaggle or self.stage.executor == "processes" else VICTIMS[:3]
        )
        victim, number = generator.choice(victims), generator.choice(SIGNALS)
        marker = self.stage.marker if generator.random() < 0.75 else ""
        longest = self.kit.seconds[self.stage] * (0.5 if marker else 1)
        job = self.place.start(self.stage.name)
        if not job.wait(marker, generator.uniform(0, longest)):
            return ""
        killed = job.kill(victim, number, generator)
        job.process.wait(timeout=300)
        if not killed:
            return ""
        self.kills.append(f"{number.name} to {killed} in {self.stage.name} ({self.stage.executor})")
        return self.kills[-1]

    def finish(self, stage: str) -> None:
        """Repeat a stage until it is done or asks for FORCE. Raises LostError if it never is."""
        deadline, failures = time.monotonic() + 300, 0
        while failures < 3 and time.monotonic() < deadline:
            code, printed = self.place.finish(stage)
            failed = re.search(FAILURE.pattern + r"\Z", printed)
            if code == 0:
                return
            assert failed, f"not one line at the end: {printed[-2000:]}"
            if "FORCE" in failed[0] and stage == "submit":
                self.asks = True
                return
            failures += not re.search(BUSY, failed[0])
            time.sleep(0.5)
        raise LostError(f"{stage} does not come to its end: {printed[-1000:]}")

    def checks(self) -> list[Callable[[], None]]:
        """Return what must hold in the end."""
        return [self.no_process, self.no_leftovers, self.clean_output, self.same_results, self.once]

    def no_process(self) -> None:
        """Raise LostError if a process is left after some seconds."""
        try:
            wait_until(lambda: not self.place.processes(), "", seconds=15)
        except AssertionError:
            left = [" ".join(process.cmdline())[:150] for process in self.place.processes()]
            for process in self.place.processes():
                process.kill()
            raise LostError(f"processes live on: {left}") from None

    def no_leftovers(self) -> None:
        """Raise LostError if there are temporary files."""
        left = [*self.place.root.rglob(".*"), *self.place.temporary.iterdir()]
        left = [path for path in left if not KEPT.fullmatch(path.name)]
        if left:
            raise LostError(
                f"left behind: {[str(path.relative_to(self.place.root)) for path in left]}"
            )

    def clean_output(self) -> None:
        """Raise if there is a traceback in what was printed, or a secret in any file."""
        for path in self.place.root.rglob("*"):
            if path.is_file() and path.stat().st_size < 5e6:
                check_secrets(path.read_text(errors="replace"))
        for path in self.place.printed:
            text = path.read_text(errors="replace")
            assert "Traceback" not in text, text[-3000:]

    def same_results(self) -> None:
        """Raise LostError if the results are not those of an undisturbed run."""
        root, whole = self.place.root, self.kit.whole.root
        if self.stage.name == "data":
            for name in ("train.csv", "test.csv"):
                if (root / "data" / "kaggle" / name).read_bytes() != GOOD[name]:
                    raise LostError(f"{name} is not what Kaggle has")
        if self.server:
            return
        for path in (root / "data" / "splits").glob("*.npz"):
            arrays, others = np.load(path), np.load(whole / "data" / "splits" / path.name)
            if not all(np.array_equal(arrays[name], others[name]) for name in others):
                raise LostError(f"{path.name} is another split")
        if self.stage.name != "split":
            self.finish("submission")
            with quiet_start():
                lines = differences(whole, root)
            for path in (whole / "submissions").glob("*.csv"):
                if path.read_bytes() != (root / "submissions" / path.name).read_bytes():
                    lines.append(f"{path.name} differs")
            if lines:
                raise LostError("; ".join(lines))

    def once(self) -> None:
        """Raise DoubleError for a second submission, LostError where a success is no submission."""
        if not self.server or self.stage.name != "submit":
            return
        listed = [entry.message for entry in self.server.submissions]
        if len(listed) > 1:
            raise DoubleError(f"submitted {len(listed)} times: {listed}")
        ledger = self.place.root / "submissions" / "ledger.csv"
        if not self.asks and (
            not listed or str(self.server.submissions[0].ref) not in ledger.read_text()
        ):
            raise LostError(f"done, but Kaggle has {listed} and the ledger {ledger.read_text()!r}")


def torture(count: int, number: int) -> Verdict:
    """Kill `count` times, in all stages by turns, drawn with the seed `number`."""
    verdict = Verdict()
    if not count:
        return verdict
    with workspace() as folder:
        kit = Kit(folder)
        for trial_number in numbers():
            if verdict.tried >= count:
                return verdict
            stage = STAGES[trial_number % len(STAGES)]
            kit.prepare(stage)
            generator = random.Random(f"{number}-{trial_number}")
            root = folder / f"trial-{trial_number}"
            with kit.place(stage, root, generator.uniform(0, LONGEST_UPLOAD)) as (place, server):
                trial = Trial(kit, stage, place, server)
                _try(trial, generator, min(KILLS_PER_TRIAL, count - verdict.tried), verdict)
            shutil.rmtree(root, ignore_errors=True)
    return verdict


def _try(trial: Trial, generator: random.Random, most: int, verdict: Verdict) -> None:
    """Kill up to `most` times, finish, and note in `verdict` what does not hold then."""
    while len(trial.kills) < most and (killed := trial.kill(generator)):
        verdict.tried += 1
        print(f"kill {verdict.tried}: {killed}", flush=True)
    for check in [lambda: trial.finish(trial.stage.name), *trial.checks()]:
        try:
            check()
        except Exception as error:
            verdict.note(error, f"{'; '.join(trial.kills)} ({trial.place.root.name})")
            print(verdict.reports[-1], flush=True)
