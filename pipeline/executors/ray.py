"""The executor `ray`: each member a task of a Ray cluster, or of one that starts on this machine.

The labelled rows go into the object store once, the pipeline's own code along with the job. A task
is a generator of messages, which carry every epoch's files: machines need no common file system,
and a member whose machine is lost goes on elsewhere from its last epoch.
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
from pipeline.data.digits import Digits
from pipeline.executors.events import Failed, Finished, Message, Task, Work, failure

TOKEN = Path.home() / ".ray" / "auth_token"
"""Where Ray keeps the token that a cluster may ask for; one that asks for none does not mind."""
PACKAGE = Path(__file__).parents[1]
"""The pipeline's own code, which goes to the workers: they need not have this checkout."""

SILENCE = 60.0
"""Seconds without a message after which it is looked whether the machines are still there."""


def train_all(work: Work) -> None:
    """Train the members as Ray finds room for them; a lost machine costs no finished epoch."""
    with _cluster() as ray:
        labelled, versions = ray.put(work.labelled), provenance.versions()
        # Given here, not as options, Ray ends the process of a task that had a GPU: TensorFlow
        # would keep it, where Ray gives the next task another one.
        remote = ray.remote(max_retries=0, **_resources(work, ray))(_train)

        def submit(task: Task) -> Any:
            return remote.remote(work.for_elsewhere(task), labelled, versions)

        at_work = {submit(task): task for task in work.tasks}
        while at_work:
            ready, _ = ray.wait(list(at_work), timeout=SILENCE, fetch_local=False)
            if not ready:  # Ray waits for ever for a machine that is gone
                _resources(work, ray)
            for messages in ready:
                message = _next(ray, messages, at_work[messages])
                work.hear(message)
                if isinstance(message, Finished | Failed):
                    del at_work[messages]
                if isinstance(message, Failed) and (task := work.again(message)):
                    at_work[submit(task)] = task


@contextmanager
def _cluster() -> Iterator[ModuleType]:
    """Connect to the cluster of RAY_ADDRESS, or start one here; yield Ray. Raises PipelineError."""
    address = os.environ.get("RAY_ADDRESS", "")
    # These are read when Ray is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:  # a Ray of our own listens on this machine only
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    elif TOKEN.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        with _own_code() as folder:
            _knock(address)
            _connect(ray, address, folder)
        if on_terminate is not None:  # Ray's own would have the run look failed
            signal.signal(signal.SIGTERM, on_terminate)
        yield ray
    except ray.exceptions.RayError as error:
        raise PipelineError(
            f"Ray failed: {_last_line(error)}; run the same command again"
        ) from None
    finally:
        ray.shutdown()


@contextmanager
def _own_code() -> Iterator[Path]:
    """Yield a folder with nothing but this package: what workers import, and work in.

    Otherwise they would take the code that lies where this process works, if it does so there.
    """
    with TemporaryDirectory() as name:
        copytree(PACKAGE, Path(name) / PACKAGE.name, ignore=ignore_patterns("__pycache__"))
        yield Path(name)


def _connect(ray: ModuleType, address: str, folder: Path) -> None:
    """Connect to a cluster, or start one; raises PipelineError."""
    own = {} if address else {"include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"working_dir": str(folder)},
            **own,
        )
    except (OSError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
        raise _unusable(address, error) from None


def _unusable(address: str, error: Exception) -> PipelineError:
    where = f"RAY_ADDRESS is {address!r}, where" if address else "On this machine"
    return PipelineError(
        f"{where} no Ray cluster can be used ({_last_line(error)}); start one with ray start "
        "--head, or leave RAY_ADDRESS out for one on this machine, or use EXECUTOR=processes"
    )


def _knock(address: str) -> None:
    """Raise PipelineError if nobody listens at `<host>:<port>`: Ray tries for many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise _unusable(address, error) from None


def _resources(work: Work, ray: ModuleType) -> dict[str, float]:
    """Return what a member takes of a machine. Raises PipelineError if none has so much."""
    gpus = work.arrangement.gpus
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
    wanted = {"CPU": float(work.arrangement.threads or 1), "GPU": gpus}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(one.get(name, 0) >= n for name, n in wanted.items()) for one in machines):
        raise PipelineError(
            f"a member takes {wanted['CPU']:g} CPUs and {gpus:g} GPUs (members.cpus, "
            "members.gpus), and no machine of the Ray cluster has so many; lower them with SET, "
            "or add a machine (ray start --address=<head>)"
        )
    return {"num_cpus": wanted["CPU"], "num_gpus": gpus}


def _next(ray: ModuleType, messages: Any, task: Task) -> Message:
    """Return a task's next message, that of its loss if its process or machine is gone.

    Raises PipelineError where a machine cannot train any member.
    """
    try:
        message: Message = ray.get(next(messages))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, PipelineError):
            raise error.cause from None
        return Failed(task.member.index, f"the member's Ray task failed ({_last_line(error)})")
    except ray.exceptions.RayError as error:
        reason = f"the member's Ray task was lost ({type(error).__name__}: {_last_line(error)})"
        return Failed(task.member.index, reason)
    except StopIteration:
        return Failed(task.member.index, "the member's Ray task ended before it was done")
    return message


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()


def _train(task: Task, labelled: Digits, versions: dict[str, str]) -> Iterator[Message]:
    """Train a member on a machine of the cluster, and yield what it tells."""
    check_versions(versions)
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def work() -> None:
        try:
            from pipeline.executors.worker import train_apart

            train_apart(task, labelled, messages.put)
        except BaseException as error:
            messages.put(failure(task.member.index, error))

    training = threading.Thread(target=work)
    training.start()
    while True:
        message = messages.get()
        yield message
        if isinstance(message, Finished | Failed):
            training.join()
            return


def check_versions(wanted: dict[str, str]) -> None:
    """Raise PipelineError if this machine's libraries are others than the run's."""
    try:
        own = provenance.versions()
    except PackageNotFoundError as error:
        own = {str(error.name): "none"}
    different = ", ".join(
        f"{name} {own.get(name, '?')} for {version}"
        for name, version in wanted.items()
        if own.get(name) != version
    )
    if different:
        raise PipelineError(
            f"machine {socket.gethostname()} of the Ray cluster has {different}; make setup "
            "EXECUTOR=ray there, and start its Ray from that .venv, or take it out of the cluster"
        )
