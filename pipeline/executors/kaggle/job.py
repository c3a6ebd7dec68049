"""What a kernel consists of: the program, the package, the run's record and the lock, in one file.

Kaggle takes one source file of about 1 MB. No token goes with it, and no data: the competition's
files are mounted there.
"""

import base64
import io
import json
import lzma
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.common import provenance
from pipeline.common.errors import PipelineError
from pipeline.data.spec import SPEC
from pipeline.executors.kaggle import machine
from pipeline.runs import NETWORK_FILE, RECORD_FILE, Run

PACKAGE = Path(__file__).parents[2]
LOCK, BASE_LOCK = (
    PACKAGE.parent / name for name in ("requirements-kaggle.lock", "requirements.lock")
)
"""The packages that training on Kaggle needs: those of the base lock without the developers' tools,
and beyond it the CUDA libraries and uv."""
LARGEST_SOURCE = 1_000_000
"""Bytes of a kernel's source that Kaggle takes (reports of 2021; its documents name no limit)."""
_FRESH: dict[str, Any] = {
    **{"status": "pending", "hardware": {}, "timings": {}, "scores": None, "kernels": []}
}
"""What the record of a run has on its way, beside its members and settings."""
_LEFT_OUT = ("__pycache__", "evaluation/report/templates")


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
    lock, base = _read_lock(LOCK), _read_lock(BASE_LOCK)
    arguments: dict[str, Any] = {
        **asdict(job),
        "run": run.id,
        "competition": SPEC.slug,
        "files": [SPEC.train_file, SPEC.test_file],
        "versions": provenance.versions(),
        # Those that the package itself imports, by their versions, where that depends on nothing.
        "packages": {
            name: pin[1]
            for name in lock.keys() & base.keys()
            if (pin := re.match(r"\S+==(\S+) \\\n", lock[name]))
        },
    }
    program = Path(machine.__file__).read_text(encoding="utf-8")
    needed = {name: text for name, text in lock.items() if job.gpu or name in base}
    payload = base64.b64encode(_archive(run, needed, lock["uv"])).decode()
    return f"{program}\n\nmain(json.loads({json.dumps(arguments)!r}), {payload!r})\n"


def _archive(run: Run, lock: Mapping[str, str], uv: str) -> bytes:
    """Return a tar.xz with the package, the run's record and the locks."""
    record = run.training.model_copy(update=_FRESH)
    contents = {
        f"runs/{run.id}/{RECORD_FILE}": record.model_dump_json().encode(),
        "requirements.lock": "".join(lock.values()).encode(),
        "uv.lock": uv.encode(),
    }
    if (source := run.network_source) is not None:
        contents[f"runs/{run.id}/{NETWORK_FILE}"] = source.encode()
    for path in sorted(_sources()):
        contents[path.relative_to(PACKAGE.parent).as_posix()] = path.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return lzma.compress(buffer.getvalue())


def _sources() -> Iterator[Path]:
    """Yield the files of the package that training needs."""
    for path in PACKAGE.rglob("*"):
        name = path.relative_to(PACKAGE).as_posix()
        if path.is_file() and not any(part in name for part in _LEFT_OUT):
            yield path


def _read_lock(path: Path) -> dict[str, str]:
    """Return the entries of a lock by the packages' names: a version for each kind of Python.

    Raises PipelineError if the file is missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise PipelineError(
            f"{path} is missing; EXECUTOR=kaggle needs it: git checkout -- {path.name}"
        ) from None
    entries: dict[str, str] = {}
    for entry in re.findall(r"^[^\s#].*\n(?:[ \t]+--hash.*\n)*", text, re.MULTILINE):
        name = re.split(r"[^A-Za-z0-9._-]", entry)[0]
        entries[name] = entries.get(name, "") + entry
    return entries
