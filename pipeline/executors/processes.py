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
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from loky import BrokenProcessPool, ProcessPoolExecutor

from pipeline.common.startup import quiet_start
from pipeline.data.digits import Digits
from pipeline.executors.tasks import Task, Work
from pipeline.training.events import Event, Failed, Finished, failure


def train_all(work: Work) -> None:
    """Train up to `at_once` members at a time. A lost process costs its own member only."""
    waiting = deque(work.tasks)
    with TemporaryDirectory(dir=work.scratch, ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        np.save(scratch / "images.npy", work.labelled.images)
        np.save(scratch / "labels.npy", work.labelled.labels)
        count = min(work.arrangement.at_once, len(work.tasks))
        slots = [WorkerSlot(scratch, _environment(work, number)) for number in range(count)]
        try:
            while waiting or any(slot.task for slot in slots):
                for slot in slots:
                    if waiting and not slot.task:
                        slot.start(waiting.popleft())
                for event in _next_events(slots):
                    work.on_event(event)
                    if isinstance(event, Failed) and (task := work.retry(event)):
                        waiting.append(task)
        finally:
            for slot in slots:
                slot.close()


def _next_events(slots: list["WorkerSlot"]) -> Iterator[Event]:
    """Wait for events. Yield the next one of each slot that has any."""
    busy = {slot.connection: slot for slot in slots if slot.task}
    for connection in wait(list(busy)):
        yield busy[connection].receive()  # type: ignore[index]


def _environment(work: Work, slot: int) -> dict[str, str]:
    """Return a worker's environment variables. They are set before it imports anything."""
    threads = str(work.arrangement.threads)
    variables = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if work.arrangement.gpus:
        variables["CUDA_VISIBLE_DEVICES"] = gpu_of(slot, len(work.hardware.gpus), os.environ)
    return variables


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
    """Prepare a worker process. It ends with the process that holds the run, not by Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.connection, _Worker.scratch = connection, scratch
    tempfile.tempdir = str(scratch)  # Keras's and TensorFlow's files too
    images, labels = (
        np.load(scratch / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")
    )
    _Worker.labelled = Digits(images=images, labels=labels)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait until the other end of the pipe is closed, then end: nobody would get more events."""
    try:
        _Worker.connection.recv()
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
    try:
        with quiet_start():
            from pipeline.executors.worker import run_task
        with TemporaryDirectory(dir=_Worker.scratch) as name:
            run_task(task, _Worker.labelled, Path(name), connection.send)
    except BaseException as error:
        connection.send(failure(task.member.index, error))
