"""The executor `processes`: members side by side on this machine, each in a process of its own.

The processes are joblib's (loky). Each has a pool of its own, because in a common one the death of
a worker ends all others. What they tell comes through a pipe, whose end also tells either side
that the other is gone.
"""

import os
import re
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor

from pipeline.common import quiet
from pipeline.data.digits import Digits
from pipeline.executors.events import Failed, Finished, Message, Task, Work, failure


def train_all(work: Work) -> None:
    """Train the members, `at_once` of them at a time; a lost process costs its own member only."""
    waiting = deque(work.tasks)
    with TemporaryDirectory(prefix="members-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        np.save(scratch / "images.npy", work.labelled.images)
        np.save(scratch / "labels.npy", work.labelled.labels)
        places = [Place(scratch, _environment(work, one)) for one in range(_places(work))]
        try:
            while waiting or any(place.task for place in places):
                for place in places:
                    if waiting and not place.task:
                        place.start(work.for_elsewhere(waiting.popleft()))
                for message in _messages(places):
                    work.hear(message)
                    if isinstance(message, Failed) and (task := work.again(message)):
                        waiting.append(task)
        finally:
            for place in places:
                place.close()


def _messages(places: list["Place"]) -> Iterator[Message]:
    """Wait for messages, and yield the next one of each place that has any."""
    busy = {place.connection: place for place in places if place.task}
    for connection in wait(list(busy)):
        yield busy[connection].receive()  # type: ignore[index]


def _places(work: Work) -> int:
    return min(work.arrangement.at_once, len(work.tasks))


def _environment(work: Work, place: int) -> dict[str, str]:
    """Return the variables of a worker, which are set before anything is imported in it."""
    threads = str(work.arrangement.threads)
    variables = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if work.arrangement.gpus:
        variables["CUDA_VISIBLE_DEVICES"] = gpu_of(place, len(work.found.gpus), os.environ)
    return variables


def gpu_of(place: int, gpus: int, environment: Mapping[str, str]) -> str:
    """Return which of so many GPUs the worker at a place uses: one is shared last of all.

    Those are counted that CUDA_VISIBLE_DEVICES leaves visible, or from 0.
    """
    number = place % gpus
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    return visible.split(",")[number].strip() if visible else str(number)


class Place:
    """Room for one member: a process, used again for the next one, and the pipe to it."""

    def __init__(self, scratch: Path, environment: dict[str, str]) -> None:
        self.task: Task | None = None
        self._scratch = scratch
        self._environment = environment
        self._open()

    def _open(self) -> None:
        self.connection, theirs = Pipe()
        self._theirs: Connection | None = theirs
        self.pool = ProcessPoolExecutor(
            1, initializer=_begin, initargs=(theirs, self._scratch), env=self._environment
        )
        self._future: Future[None] | None = None

    def start(self, task: Task) -> None:
        """Have a member trained."""
        self.task = task
        try:
            self._future = self.pool.submit(_train, task)
        except BrokenProcessPool:  # the process died after its last member
            self._replace()
            self._future = self.pool.submit(_train, task)
        if self._theirs:  # the process has its copy; with this one open its end were not seen
            self._theirs.close()
            self._theirs = None

    def receive(self) -> Message:
        """Return the next message; with the last one of a member the place is free again."""
        assert self.task
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            message = self._lost(self.task.member.index)
        if isinstance(message, Finished | Failed):
            self.task = None
        return message

    def _lost(self, index: int) -> Failed:
        assert self._future
        # loky names the exit codes in braces, as in {SIGKILL(-9)}.
        error = self._future.exception()
        codes = re.search(r"\{(.+)\}", str(error))
        self._replace()
        how = codes[1] if codes else type(error).__name__
        return Failed(index, f"the member's process ended before it was done ({how})")

    def _replace(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        self.pool.shutdown(kill_workers=True)


class _Worker:
    """What a worker process keeps between two members."""

    connection: Connection
    scratch: Path
    labelled: Digits


def _begin(connection: Connection, scratch: Path) -> None:
    """Prepare a worker process: it ends with the process that holds the run, not by Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.connection, _Worker.scratch = connection, scratch
    images, labels = (
        np.load(scratch / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")
    )
    _Worker.labelled = Digits(images=images, labels=labels)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the pipe's end, and end: nobody would hear what this process still finds out."""
    try:
        _Worker.connection.recv()
    except (EOFError, OSError):
        for _ in range(20):  # another worker may still write there
            shutil.rmtree(_Worker.scratch, ignore_errors=True)
            if not _Worker.scratch.exists():
                break
            time.sleep(0.1)
        os._exit(1)


def _train(task: Task) -> None:
    """Train a member and tell of it; of whatever goes wrong, too."""
    connection = _Worker.connection
    try:
        with quiet.startup():
            from pipeline.executors.worker import train_apart
        train_apart(task, _Worker.labelled, connection.send, _Worker.scratch)
    except BaseException as error:
        connection.send(failure(task.member.index, error))
