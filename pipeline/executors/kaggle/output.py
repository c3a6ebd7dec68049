"""Brings home what a kernel has trained: fetched, checked, and put into the run's folder."""

import re
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.competitions.kaggle import kernels
from pipeline.executors.kaggle.machine import MANIFEST, RUN_FILES
from pipeline.runs import MEMBERS_FOLDER, RECORD_FILE, Kernel, Run, TrainingRecord

PATTERN = rf"{re.escape(MANIFEST)}|{re.escape(RUN_FILES)}|member-\d+\.tar"
LARGEST_MANIFEST = 10_000_000  # bytes


class PackedFile(BaseModel):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a kernel says of its files: whose they are, and whether it came to its end."""

    slug: str
    ended: bool
    code: int
    record: TrainingRecord
    files: dict[str, PackedFile]


def fetch(run: Run, kernel: Kernel, report: Report) -> None:
    """Put what the kernel has trained into the run's folder and record, and note that it ended.

    Everything is checked before anything is changed. Raises PipelineError if a file is missing,
    cut off, or not the kernel's; then the same command fetches again.
    """
    report("fetching what the kernel has trained")
    with TemporaryDirectory() as name:
        # The command writes a file whose name begins with "../" above its folder.
        folder = Path(name) / "kernel" / "output"
        folder.mkdir(parents=True)
        kernels.fetch_output(kernel.name, folder, PATTERN)
        manifest = _manifest(run, kernel, folder)
        unpacked = Path(name) / "unpacked"
        for file, expected in manifest.files.items():
            _check(kernel, folder / file, expected)
            _unpack(kernel, folder / file, unpacked / file.removesuffix(".tar"))
        _adopt(run, kernel, manifest, unpacked)
    done = [one for one in run.record.members if one.index in kernel.members]
    finished = sum(one.status == "done" for one in done)
    report(f"{finished} of {len(done)} member{'s' * (len(done) > 1)} trained on Kaggle")


def _manifest(run: Run, kernel: Kernel, folder: Path) -> Manifest:
    """Return the kernel's manifest. Raises PipelineError if there is none, or another one's."""
    try:
        content = files.read_bytes(folder / MANIFEST, LARGEST_MANIFEST)
        manifest = Manifest.model_validate_json(content)
    except FileNotFoundError:
        raise _unusable(kernel, f"has no {MANIFEST}, so it trained nothing") from None
    except (OSError, ValidationError, ValueError):
        raise _unusable(kernel, f"has a damaged {MANIFEST}") from None
    record = manifest.record
    if (manifest.slug, record.identity) != (kernel.slug, run.record.identity):
        raise _unusable(kernel, f"is of the kernel {manifest.slug} and the run {record.id}")
    if len(record.members) != len(run.record.members):
        raise _unusable(kernel, "is of another number of members")
    return manifest


def _check(kernel: Kernel, path: Path, expected: PackedFile) -> None:
    """Raise PipelineError if a file is not the one that the manifest describes."""
    if not re.fullmatch(PATTERN, path.name) or path.name == MANIFEST:
        raise _unusable(kernel, f"names a file {path.name!r}")
    if not path.is_file():
        raise _unusable(kernel, f"lacks {path.name}")
    size = path.stat().st_size
    if size != expected.bytes:
        raise _unusable(kernel, f"has {size:,} bytes of {path.name} instead of {expected.bytes:,}")
    if files.sha256(path) != expected.sha256:
        raise _unusable(kernel, f"has another {path.name} than {MANIFEST} says")


def _unusable(kernel: Kernel, problem: str) -> PipelineError:
    return PipelineError(
        f"the output of {kernel.url} {problem}; nothing was changed here; run the same command "
        "again to fetch it again, or look at the kernel's page"
    )


def _unpack(kernel: Kernel, path: Path, folder: Path) -> None:
    """Unpack a tar file into a folder. Nothing leaves that folder, and no links are made."""
    try:
        with tarfile.open(path) as file:
            for entry in file:
                if not entry.isfile():
                    raise _unusable(kernel, f"has {entry.name!r} in {path.name}")
                file.extract(entry, folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise _unusable(kernel, f"has a {path.name} that cannot be read ({error})") from None


def _adopt(run: Run, kernel: Kernel, manifest: Manifest, unpacked: Path) -> None:
    """Put unpacked files into the run's folder, then what they mean into its record.

    A kill in between leaves files that the record does not name. The next command does it again.
    """
    record, theirs = run.training, manifest.record
    for index in kernel.members:
        source = unpacked / f"member-{index}"
        if source.is_dir():
            target = run.member_folder(index)
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(exist_ok=True)
            shutil.move(source, target)
            record.members[index] = theirs.members[index]
            _take_checksums(record, theirs, f"{MEMBERS_FOLDER}/{index}/")
        elif theirs.members[index].status == "failed":
            record.members[index] = theirs.members[index].model_copy(update={"checkpoints": []})
    rest = unpacked / Path(RUN_FILES).stem
    for path in sorted(rest.glob("*")) if rest.is_dir() else ():
        if path.is_file() and path.name != RECORD_FILE:
            files.publish(path, run.folder / path.name)
            _take_checksums(record, theirs, path.name)
    record.scores = theirs.scores
    record.hardware, record.versions = theirs.hardware, theirs.versions
    _add_timings(record.timings, theirs.timings)
    kernel.ended = "complete"
    run.save()


def _take_checksums(record: TrainingRecord, theirs: TrainingRecord, beginning: str) -> None:
    record.sha256 = {
        **{name: one for name, one in record.sha256.items() if not name.startswith(beginning)},
        **{name: one for name, one in theirs.sha256.items() if name.startswith(beginning)},
    }


def _add_timings(timings: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Add the seconds of training there to those of training here. Other times are the last."""
    before = timings.get("training_seconds", 0.0)
    timings.update(theirs)
    timings["training_seconds"] = round(before + theirs.get("training_seconds", 0.0), 1)
