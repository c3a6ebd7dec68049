"""The executor `ray`: each member a task of a Ray cluster, or of one that starts on this machine.

The labelled rows go into Ray's object store once, and this package's code goes with the job. A task
is a generator of events, which carry every epoch's files. So the machines need no common file
system, and a member whose machine is lost continues on another one after its last epoch.
"""

import os
import queue
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from pipeline.common import provenance
from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.data.digits import Digits
from pipeline.executors.tasks import Task, Work
from pipeline.training.events import Event, Failed, Finished, failure

TOKEN = Path.home() / ".ray" / "auth_token"
"""Where Ray keeps the token that a cluster may require. Other clusters ignore it."""
PACKAGE = Path(__file__).parents[1]
"""This package's code. It is sent to the workers, which need no checkout of it."""

CHECK_AFTER = 60.0
"""Seconds without an event after which the cluster is asked whether its machines still live."""


def train_all(work: Work) -> None:
    """Train the members as Ray finds room for them. A lost machine costs no finished epoch."""
    with _cluster() as ray:
        labelled, versions = ray.put(work.labelled), provenance.versions()
        # With resources given here, not as options, Ray ends the process of a task that had a GPU.
        # Otherwise TensorFlow would keep that GPU, while Ray gives the next task another one.
        remote = ray.remote(max_retries=0, **_resources(work, ray))(_run)

        def submit(task: Task) -> Any:
            return remote.remote(task, labelled, versions)

        running = {submit(task): task for task in work.tasks}
        while running:
            ready, _ = ray.wait(list(running), timeout=CHECK_AFTER, fetch_local=False)
            if not ready:  # Ray waits for ever for a machine that is gone
                _resources(work, ray)
            for events in ready:
                event = _next_event(ray, events, running[events])
                work.on_event(event)
                if isinstance(event, Finished | Failed):
                    del running[events]
                if isinstance(event, Failed) and (task := work.retry(event)):
                    running[submit(task)] = task


@contextmanager
def _cluster() -> Iterator[ModuleType]:
    """Connect to RAY_ADDRESS's cluster, or start one here. Yield Ray. Raises PipelineError."""
    address = os.environ.get("RAY_ADDRESS", "")
    # Ray reads these variables when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:  # a cluster of our own listens on this machine only
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    elif TOKEN.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    # When a machine dies, Ray prints some 30 lines of its own log. No setting turns that off.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        with _package_copy() as folder:
            _check_listening(address)
            _connect(ray, address, folder)
        if on_terminate is not None:  # with Ray's own handler the run would look failed
            signal.signal(signal.SIGTERM, on_terminate)
        yield ray
    except ray.exceptions.RayError as error:
        raise PipelineError(
            f"Ray failed: {_last_line(error)}; run the same command again"
        ) from None
    finally:
        ray.shutdown()


@contextmanager
def _package_copy() -> Iterator[Path]:
    """Yield a folder with this package alone, for workers to import from and to work in.

    Otherwise they would import the code in this process's working directory, if there is any.
    """
    with TemporaryDirectory() as name:
        copytree(PACKAGE, Path(name) / PACKAGE.name, ignore=ignore_patterns("__pycache__"))
        yield Path(name)


def _connect(ray: ModuleType, address: str, folder: Path) -> None:
    """Connect to a cluster, or start one. Raises PipelineError."""
    options = {} if address else {"include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"working_dir": str(folder)},
            **options,
        )
    except (OSError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
        raise _unusable(address, error) from None


def _unusable(address: str, error: Exception) -> PipelineError:
    where = f"RAY_ADDRESS is {address!r}, where" if address else "On this machine"
    return PipelineError(
        f"{where} no Ray cluster can be used ({_last_line(error)}); start one with ray start "
        "--head, or leave RAY_ADDRESS out for one on this machine, or use EXECUTOR=processes"
    )


def _check_listening(address: str) -> None:
    """Raise PipelineError if nobody listens at `<host>:<port>`. Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise _unusable(address, error) from None


def _resources(work: Work, ray: ModuleType) -> dict[str, float]:
    """Return what a member needs of a machine. Raises PipelineError if no machine has so much."""
    gpus = work.arrangement.gpus
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
    needed = {"CPU": float(work.arrangement.threads or 1), "GPU": gpus}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(one.get(name, 0) >= n for name, n in needed.items()) for one in machines):
        raise PipelineError(
            f"a member needs {needed['CPU']:g} CPUs and {gpus:g} GPUs (members.cpus, "
            "members.gpus), and no machine of the Ray cluster has so many; lower them with SET, "
            "or add a machine (ray start --address=<head>)"
        )
    return {"num_cpus": needed["CPU"], "num_gpus": gpus}


def _next_event(ray: ModuleType, events: Any, task: Task) -> Event:
    """Return a task's next event, a failure if its process or machine is gone.

    Raises PipelineError where a machine cannot train any member.
    """
    try:
        event: Event = ray.get(next(events))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, PipelineError):
            raise error.cause from None
        return Failed(task.member.index, f"the member's Ray task failed ({_last_line(error)})")
    except ray.exceptions.RayError as error:
        reason = f"the member's Ray task was lost ({type(error).__name__}: {_last_line(error)})"
        return Failed(task.member.index, reason)
    except StopIteration:
        return Failed(task.member.index, "the member's Ray task ended before it was done")
    return event


def _last_line(error: Exception) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return printable(lines[-1].strip(), 200)


def _run(task: Task, labelled: Digits, versions: dict[str, str]) -> Iterator[Event]:
    """Train a member on a machine of the cluster, and yield its events."""
    check_versions(versions)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def work() -> None:
        try:
            from pipeline.executors.worker import run_task

            with TemporaryDirectory() as name:
                run_task(task, labelled, Path(name), events.put)
        except BaseException as error:
            events.put(failure(task.member.index, error))

    training = threading.Thread(target=work)
    training.start()
    while True:
        event = events.get()
        yield event
        if isinstance(event, Finished | Failed):
            training.join()
            return


def check_versions(required: dict[str, str]) -> None:
    """Raise PipelineError if this machine's library versions are not the run's."""
    try:
        own = provenance.versions()
    except PackageNotFoundError as error:
        own = {str(error.name): "none"}
    different = ", ".join(
        f"{name} {own.get(name, '?')}, where the run has {version}"
        for name, version in required.items()
        if own.get(name) != version
    )
    if different:
        raise PipelineError(
            f"machine {socket.gethostname()} of the Ray cluster has {different}; make setup "
            "EXECUTOR=ray there, and start its Ray from that .venv, or take it out of the cluster"
        )
