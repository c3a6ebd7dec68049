"""Before the work begins: the standard streams, TensorFlow's greeting, and a look for a GPU."""

import logging
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def open_closed_streams() -> None:
    """Open /dev/null for each standard stream that is closed, as with `>&-`.

    Else the next file that is opened has the stream's number, and programs that are started write
    their output into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # has the lowest free number: mostly this one
            os.dup2(opened, number)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w"))


LEAST_MEMORY = 384  # MiB of address space, which the import of SciPy takes


def spare_threads() -> None:
    """Have OpenBLAS use one thread where memory is limited, as by `ulimit -v`.

    Without memory for its other threads, the import of NumPy or SciPy loops for ever, or sends the
    process SIGINT. Without memory for the first, it loops too, or ends the process: raises
    MemoryError for a limit below `LEAST_MEMORY`.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return
    if limit < LEAST_MEMORY * 2**20:
        raise MemoryError(f"the limit is {limit // 2**20} MiB; {LEAST_MEMORY} are needed")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what the block writes to stderr. Print it only if the block fails.

    TensorFlow 2.21 greets from C++ with lines about oneDNN and missing CUDA drivers. No setting
    silences them, because they come before its logging reads TF_CPP_MIN_LOG_LEVEL. That variable,
    unless a person has set it, limits later lines to fatal errors. Those from Python, as about the
    functions that a process traces for each of its networks, are limited to errors.
    """
    if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception:  # not Ctrl-C, whose last line is enough
            held_back.seek(0)
            os.write(original, held_back.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def nvidia_driver_answers() -> bool:
    """Return whether an NVIDIA driver lists a GPU. The Makefile asks the same to pick a lock."""
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0 and bool(listing.stdout)


def gpu_expected() -> bool:
    """Return whether TensorFlow should see a GPU: one exists, and CUDA_VISIBLE_DEVICES shows it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    return visible not in ("", "-1") and nvidia_driver_answers()
