"""The executor `processes`: members side by side on this machine, each in its own process.

The processes are loky's, in a pool per process: in a common pool the death of one process ends all
others. A worker sends its events through a pipe. The end of the pipe also shows each side that the
other one is gone.
"""

import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from loky import BrokenProcessPool, ProcessPoolExecutor

from pipeline.common.errors import PipelineError
from pipeline.common.startup import quiet_start
from pipeline.data.digits import Digits
from pipeline.executors.plan import Arrangement
from pipeline.executors.tasks import Task, Work
from pipeline.training.events import Event, Failed, Finished, failure


def train_all(work: Work) -> None:
    """Train up to `at_once` members at a time. A lost process costs its own member only."""
    waiting = deque(work.tasks)
    arrangement, gpus = work.arrangement, len(work.hardware.gpus)
    count = min(arrangement.at_once, len(work.tasks))
    with open_slots(work.scratch, work.labelled, arrangement, count, gpus) as slots:
        while waiting or any(slot.task for slot in slots):
            for slot in slots:
                if waiting and not slot.task:
                    slot.start(waiting.popleft())
            for _, event in next_events(slots):
                work.on_event(event)
                if isinstance(event, Failed) and (task := work.retry(event)):
                    waiting.append(task)


@contextmanager
def open_slots(
    folder: Path, labelled: Digits, arrangement: Arrangement, count: int, gpus: int
) -> Iterator[list["WorkerSlot"]]:
    """Open `count` slots for members that train on rows of `labelled`, until the block ends.

    `folder` is for temporary files, and `gpus` is the number of this machine's GPUs.
    """
    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        np.save(scratch / "images.npy", labelled.images)
        np.save(scratch / "labels.npy", labelled.labels)
        environments = [_environment(arrangement, number, gpus) for number in range(count)]
        slots = [WorkerSlot(scratch, environment) for environment in environments]
        try:
            yield slots
        finally:
            for slot in slots:
                slot.close()


def next_events(slots: list["WorkerSlot"]) -> Iterator[tuple["WorkerSlot", Event]]:
    """Wait for events. Yield each slot that has any, with the next one."""
    busy = {slot.connection: slot for slot in slots if slot.task}
    for connection in wait(list(busy)):
        slot = busy[connection]  # type: ignore[index]
        yield slot, slot.receive()


def _environment(arrangement: Arrangement, slot: int, gpus: int) -> dict[str, str]:
    """Return a worker's environment variables. They are set before it imports anything."""
    # loky would replace a worker that has grown by 300 MB. A slot does that (RENEWED_AFTER).
    variables = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
    if arrangement.threads:
        threads = str(arrangement.threads)
        variables |= {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if arrangement.gpus:
        variables["CUDA_VISIBLE_DEVICES"] = gpu_of(slot, gpus, os.environ)
    return variables


RENEWED_AFTER = 20
"""Members after which a worker's process is replaced. Each leaves some 30 MB of TensorFlow's."""


def gpu_of(slot: int, gpus: int, environment: Mapping[str, str]) -> str:
    """Return which of `gpus` GPUs the worker in a slot uses. All are used before one is shared.

    The GPUs are those that CUDA_VISIBLE_DEVICES shows, or else are numbered from 0.
    """
    number = slot % gpus
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    return visible.split(",")[number].strip() if visible else str(number)


class WorkerSlot:
    """A place for one member at a time: a worker process, which is used again, and its pipe."""

    def __init__(self, scratch: Path, environment: dict[str, str]) -> None:
        self.task: Task | None = None
        self._scratch = scratch
        self._environment = environment
        self._trained = 0
        self._open()

    def _open(self) -> None:
        self.connection, worker_end = Pipe()
        self._worker_end: Connection | None = worker_end
        self.pool = ProcessPoolExecutor(
            1, initializer=_begin, initargs=(worker_end, self._scratch), env=self._environment
        )
        self._future: Future[None] | None = None

    def start(self, task: Task) -> None:
        """Start to train the task's member in the worker process."""
        self.task = task
        if self._trained == RENEWED_AFTER:
            self._replace()
        self._trained += 1
        try:
            self._future = self.pool.submit(_run, task)
        except BrokenProcessPool:  # the process died after its last member
            self._replace()
            self._future = self.pool.submit(_run, task)
        if self._worker_end:  # while this copy is open, the end of the worker goes unnoticed
            self._worker_end.close()
            self._worker_end = None

    def receive(self) -> Event:
        """Return the next event. After a member's last event the slot is free again."""
        assert self.task
        try:
            event: Event = self.connection.recv()
        except (EOFError, OSError):
            event = self._lost(self.task.member.index)
        if isinstance(event, Finished | Failed):
            self.task = None
        return event

    def stop(self) -> None:
        """Ask the worker to end its member, which then fails. It may still finish first."""
        assert self.task
        with suppress(OSError):  # a lost process is noticed when its next event is read
            self.connection.send(self.task.member.index)

    def _lost(self, index: int) -> Failed:
        assert self._future
        # loky gives the exit codes in braces, as in {SIGKILL(-9)}.
        error = self._future.exception()
        codes = re.search(r"\{(.+)\}", str(error))
        self._replace()
        how = codes[1] if codes else type(error).__name__
        return Failed(index, f"the member's process ended before it was done ({how})")

    def _replace(self) -> None:
        self.close()
        self._trained = 0
        self._open()

    def close(self) -> None:
        """End the process, whatever it does."""
        self.pool.shutdown(kill_workers=True)
        self.connection.close()  # a living worker would take it for the end of this process


class _Worker:
    """What a worker process keeps between two members."""

    connection: Connection
    scratch: Path
    labelled: Digits
    stopped: int | None = None
    """The index of the member that is to end."""


def _begin(connection: Connection, scratch: Path) -> None:
    """Prepare a worker process. It ends with the process that holds the run, not by Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.connection, _Worker.scratch = connection, scratch
    tempfile.tempdir = str(scratch)  # Keras's and TensorFlow's files too
    try:
        images, labels = (
            np.load(scratch / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")
        )
    except FileNotFoundError:  # the process that holds the run was killed
        os._exit(1)
    _Worker.labelled = Digits(images=images, labels=labels)
    threading.Thread(target=_listen, daemon=True).start()


def _listen() -> None:
    """Note which member is to stop. End where the other end of the pipe is closed.

    Nobody would get more events then.
    """
    try:
        while True:
            _Worker.stopped = _Worker.connection.recv()
    except (EOFError, OSError):
        for _ in range(20):  # another worker may still write there
            shutil.rmtree(_Worker.scratch, ignore_errors=True)
            if not _Worker.scratch.exists():
                break
            time.sleep(0.1)
        os._exit(1)


def _run(task: Task) -> None:
    """Train a member and send its events, whatever goes wrong."""
    connection = _Worker.connection

    def on_event(event: Event) -> None:
        connection.send(event)
        if _Worker.stopped == event.index and not isinstance(event, Finished | Failed):
            raise PipelineError("it was asked to stop")

    try:
        with quiet_start():
            from pipeline.executors.worker import run_task
        with TemporaryDirectory(dir=_Worker.scratch) as name:
            run_task(task, _Worker.labelled, Path(name), on_event)
    except BaseException as error:
        connection.send(failure(task.member.index, error))
