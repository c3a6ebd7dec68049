"""What a kernel consists of: the program, the package, the run's record and the lock, in one file.

Kaggle takes one source file of about 1 MB. No token goes with it, and no data: the competition's
files are mounted there.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.common import provenance
from pipeline.common.errors import PipelineError
from pipeline.data.spec import SPEC
from pipeline.executors.kaggle import bundle, machine
from pipeline.runs import NETWORK_FILE, RECORD_FILE, Run

LARGEST_SOURCE = 1_000_000
"""Bytes of a kernel's source that Kaggle takes (reports of 2021; its documents name no limit)."""


@dataclass(frozen=True)
class Job:
    """What a kernel is to do: train these members of a run, for at most so many seconds.

    With `image`, it uses the libraries of Kaggle's image. Without `gpu`, it is a kernel without an
    accelerator. `predict` asks for the probabilities too.
    """

    slug: str
    members: list[int]
    seconds: int
    gpu: bool
    image: bool
    predict: bool


def check_versions() -> None:
    """Raise PipelineError if the libraries here are not those that kernels install."""
    if different := bundle.differences(bundle.read_lock(bundle.LOCK), provenance.versions()):
        raise PipelineError(
            f"the libraries here are not those of {bundle.LOCK.name}: {', '.join(different)}; run "
            "make setup, or use KAGGLE_IMAGE=1"
        )


def write(folder: Path, run: Run, job: Job, owner: str) -> None:
    """Write the kernel into `folder`, for `kaggle kernels push`.

    Raises PipelineError if the source is too large, or if the lock is missing.
    """
    source = script(run, job)
    if len(source) > LARGEST_SOURCE:
        raise PipelineError(
            f"run {run.id}: the kernel's source has {len(source):,} bytes, and Kaggle takes "
            f"{LARGEST_SOURCE:,}; shorten network.file"
        )
    (folder / "kernel.py").write_text(source, encoding="utf-8")
    metadata = {
        "id": f"{owner}/{job.slug}",
        "title": job.slug.replace("-", " "),
        "code_file": "kernel.py",
        "language": "python",
        "kernel_type": "script",
        "is_private": True,
        "enable_gpu": job.gpu,
        "enable_tpu": False,
        "enable_internet": True,
        "competition_sources": [SPEC.slug],
        # Two GPUs, and what enable_gpu gives by default (Kaggle/kaggle-cli, pull request 1198).
        **({"machine_shape": "NvidiaTeslaT4"} if job.gpu else {}),
    }
    (folder / "kernel-metadata.json").write_text(json.dumps(metadata, indent=1))


def script(run: Run, job: Job) -> str:
    """Return the kernel's source: `machine.py`, and a call of its `main` with the job."""
    lock, base = bundle.read_lock(bundle.LOCK), bundle.read_lock(bundle.BASE_LOCK)
    arguments: dict[str, Any] = {
        **asdict(job),
        "run": run.id,
        "competition": SPEC.slug,
        "files": [SPEC.train_file, SPEC.test_file],
        "versions": provenance.versions(),
        "packages": bundle.packages(lock, base),
    }
    program = Path(machine.__file__).read_text(encoding="utf-8")
    needed = {name: text for name, text in lock.items() if job.gpu or name in base}
    payload = _archive(run, needed, lock["uv"])
    return f"{program}\n\nmain(json.loads({json.dumps(arguments)!r}), {payload!r})\n"


def _archive(run: Run, lock: Mapping[str, str], uv: str) -> str:
    """Return the package, the run's record and the locks, packed.

    The record is as for a new run, but for its members that are done: no checkpoints are sent, so
    the others begin anew.
    """
    anew = {"status": "pending", "epochs": 0, "seconds": 0, "checkpoints": []}
    members = [
        one if one.status == "done" else one.model_copy(update=anew) for one in run.record.members
    ]
    empty: dict[str, object] = {"status": "pending", "hardware": {}, "timings": {}, "kernels": []}
    record = run.training.model_copy(update={**empty, "scores": None, "members": members})
    contents = {
        f"runs/{run.id}/{RECORD_FILE}": record.model_dump_json().encode(),
        "requirements.lock": "".join(lock.values()).encode(),
        "uv.lock": uv.encode(),
    }
    if (source := run.network_source) is not None:
        contents[f"runs/{run.id}/{NETWORK_FILE}"] = source.encode()
    return bundle.pack(contents)
