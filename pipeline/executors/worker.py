"""What every executor does with one task: train its member, and report a failure as an event."""

import errno
from pathlib import Path

from pipeline import networks
from pipeline.data.digits import Digits, select
from pipeline.executors.tasks import Task
from pipeline.training import hardware
from pipeline.training.events import OnEvent, failure
from pipeline.training.hardware import Hardware
from pipeline.training.loop import train_member

NOT_THE_MEMBERS_FAULT = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    errno.EPIPE,
)
"""Errors of the disk, or of the reader of the output. Another member would fail in the same way."""


def run_task(
    task: Task,
    labelled: Digits,
    scratch: Path,
    on_event: OnEvent,
    prepared: Hardware | None = None,
) -> None:
    """Train the task's member on this process's devices. A failure becomes an event too.

    `scratch` is a folder for temporary files. `prepared` is the hardware, where this process has
    been prepared already. Raises only an OSError of `NOT_THE_MEMBERS_FAULT` and what is no
    Exception, such as Ctrl-C.
    """
    try:
        if task.recipe.members.gpus == 0:  # a Ray worker has the environment of its own machine
            hardware.hide_gpus()
        devices = prepared or hardware.prepare(task.recipe.training, task.threads)
        if task.network_source is not None:
            networks.register_file(task.network_source)
        train_member(
            task.recipe,
            task.member,
            select(labelled, task.split.train_rows),
            select(labelled, task.split.validation_rows),
            hardware=devices,
            scratch=scratch,
            on_event=on_event,
            resume=task.resume,
        )
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NOT_THE_MEMBERS_FAULT:
            raise
        on_event(failure(task.member.index, error))
