"""Kills at random moments in every stage: the command goes on, loses nothing, submits once."""

import random
import re
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count as numbers
from pathlib import Path

import numpy as np

from pipeline.common.startup import quiet_start
from tests.bench.kills import differences
from tests.commands import wait_until
from tests.kaggle.files import GOOD
from tests.kaggle_stand_in import StandIn
from tests.torture.jobs import SIGNALS, VICTIMS, Place
from tests.torture.kit import LONGEST_UPLOAD, STAGES, Kit, Stage
from tests.torture.verdict import DoubleError, LostError, Verdict, check_secrets, workspace

KILLS_PER_TRIAL = 3
AT_ONCE = 2
"""Trials side by side: much of an upload is waiting."""
KEPT = re.compile(r"\.(.*\.)?lock|\.checked\.json|\.handed-to-kaggle")
"""What may stay: locks, the stamp of checked files, the journal of submissions."""
BUSY = "being worked on|still being trained"
_KERAS = threading.Lock()
"""Keras compares one folder at a time."""
FAILURE = re.compile(r"error: .*\n(make: .*\n)*")


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
        longest = self.kit.seconds[self.stage.name] * (0.5 if marker else 1)
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
            with _KERAS, quiet_start():
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
        folder = self.place.root / "submissions"
        ledger = (folder / "ledger.csv").read_text()
        if self.asks:
            # Only of a request that was noted, and then cut off, nobody knows whether it arrived.
            noted = (folder / ".handed-to-kaggle").exists()
            if listed or not noted:
                raise LostError(f"asks for FORCE, but Kaggle has {listed} (noted: {noted})")
        elif not listed or str(self.server.submissions[0].ref) not in ledger:
            raise LostError(f"done, but Kaggle has {listed} and the ledger {ledger!r}")


class Trials:
    """All trials of one torture, at most `AT_ONCE` side by side."""

    def __init__(self, count: int, number: int, folder: Path) -> None:
        self.verdict = Verdict()
        self._count, self._number, self._kit = count, number, Kit(folder)
        self._numbers, self._lock = numbers(), threading.Lock()

    def run(self) -> None:
        """Run one trial after another until there are enough kills."""
        while self.verdict.tried < self._count:
            with self._lock:
                trial_number = next(self._numbers)
            stage = STAGES[trial_number % len(STAGES)]
            self._kit.prepare(stage)
            generator = random.Random(f"{self._number}-{trial_number}")
            root = self._kit.folder / f"trial-{trial_number}"
            upload, lag = generator.uniform(0, LONGEST_UPLOAD), generator.randrange(4)
            with self._kit.place(stage, root, upload, lag) as (place, server):
                self._try(Trial(self._kit, stage, place, server), generator)
            shutil.rmtree(root, ignore_errors=True)

    def _try(self, trial: Trial, generator: random.Random) -> None:
        """Kill some times, finish, and note what does not hold then."""
        for _ in range(KILLS_PER_TRIAL):
            killed = self.verdict.tried < self._count and trial.kill(generator)
            if not killed:
                break
            with self._lock:
                self.verdict.tried += 1
                print(f"kill {self.verdict.tried}: {killed}", flush=True)
        for check in [lambda: trial.finish(trial.stage.name), *trial.checks()]:
            try:
                check()
            except Exception as error:
                with self._lock:
                    about = f"{trial.place.root.name}: {'; '.join(trial.kills)}"
                    self.verdict.note(error, about)
                    print(self.verdict.reports[-1], flush=True)


def torture(count: int, number: int) -> Verdict:
    """Kill `count` times, in all stages by turns, drawn with the seed `number`."""
    if not count:
        return Verdict()
    at_once = min(AT_ONCE, -(-count // KILLS_PER_TRIAL))
    with workspace() as folder, ThreadPoolExecutor(at_once) as pool:
        trials = Trials(count, number, folder)
        for running in [pool.submit(trials.run) for _ in range(at_once)]:
            running.result()
    return trials.verdict
