"""The executor `ray`: each member a task of a Ray cluster, or of one that starts on this machine.

The labelled rows go into the object store once, the pipeline's own code along with the job. A task
is a generator of messages, which carry every epoch's files: machines need no common file system,
and a member whose machine is lost goes on elsewhere from its last epoch.
"""

import os
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline import provenance
from pipeline.digits import Digits
from pipeline.errors import PipelineError
from pipeline.members.messages import Failed, Finished, Message, Task, Work

TOKEN = Path.home() / ".ray" / "auth_token"
"""Where Ray keeps the token that a cluster may ask for; one that asks for none does not mind."""
PACKAGE = Path(__file__).parents[1]
"""The pipeline's own code, which goes to the workers: they need not have this checkout."""

SILENCE = 60.0
"""Seconds without a message after which it is looked whether the machines are still there."""


def train_all(work: Work) -> None:
    """Train the members as Ray finds room for them; a lost machine costs no finished epoch."""
    with _cluster() as ray:
        resources = _resources(work, ray)
        labelled = ray.put(work.labelled)
        versions = provenance.versions()
        remote = ray.remote(_train).options(max_retries=0, **resources)
        at_work = {
            remote.remote(work.for_elsewhere(task), labelled, versions): task for task in work.tasks
        }
        while at_work:
            ready, _ = ray.wait(list(at_work), timeout=SILENCE, fetch_local=False)
            if not ready:  # Ray waits for ever for a machine that is gone
                _resources(work, ray)
            for messages in ready:
                message = _next(ray, messages, at_work[messages])
                work.hear(message)
                if isinstance(message, Finished | Failed):
                    del at_work[messages]


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

    own = {} if address else {"include_dashboard": False}
    try:
        _knock(address)
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"py_modules": [str(PACKAGE)]},
            **own,
        )
    except (OSError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
        where = f"RAY_ADDRESS is {address!r}, where" if address else "On this machine"
        raise PipelineError(
            f"{where} no Ray cluster can be used ({str(error).strip().splitlines()[0]}); start one "
            "with ray start --head, or leave RAY_ADDRESS out for one on this machine, or use "
            "EXECUTOR=processes"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at `<host>:<port>`: Ray itself tries for many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


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
    """Return a task's next message, that of its loss if its process or machine is gone."""
    try:
        message: Message = ray.get(next(messages))
    except ray.exceptions.RayError as error:
        detail = str(error).strip().splitlines()[-1]
        reason = f"its Ray task was lost ({type(error).__name__}: {detail})"
        return Failed(task.member.index, reason)
    except StopIteration:
        return Failed(task.member.index, "its Ray task ended before it was done")
    return message


def _train(task: Task, labelled: Digits, versions: dict[str, str]) -> Iterator[Message]:
    """Train a member on a machine of the cluster, and yield what it tells."""
    own = provenance.versions()
    if own != versions:
        different = ", ".join(
            f"{name} {own[name]} for {version}"
            for name, version in versions.items()
            if own[name] != version
        )
        yield Failed(task.member.index, f"{socket.gethostname()} has {different}")
        return
    from pipeline.members.worker import train_apart

    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    training = threading.Thread(target=train_apart, args=(task, labelled, messages.put))
    training.start()
    while True:
        message = messages.get()
        yield message
        if isinstance(message, Finished | Failed):
            training.join()
            return
