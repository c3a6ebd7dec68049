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
from pipeline.common.text import printable
from pipeline.competitions.kaggle import kernels
from pipeline.executors.kaggle.machine import DONE, MANIFEST, OUT_OF_TIME, RUN_FILES
from pipeline.runs import (
    CHECKPOINTS_FOLDER,
    MEMBERS_FOLDER,
    Kernel,
    Member,
    Run,
    TrainingRecord,
)

LARGEST_MANIFEST = 10_000_000  # bytes
MOST_FILES = 10_000  # in one tar file
MEMBER_FILE = re.compile(
    r"history\.csv|curves\.png|resume\.npz|error\.txt|checkpoints/[A-Za-z0-9._-]+\.keras"
)
RUN_FILE = re.compile(r"(validation|test)\.npz|[a-z_]+\.png|members/\d+/curves\.png")
"""What a kernel may send home, for a member and for the run."""


class PackedFile(BaseModel):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a kernel says of its files: whose they are, and how it ended, "" before that."""

    slug: str
    end: str
    record: TrainingRecord
    files: dict[str, PackedFile]


class NothingTrainedError(PipelineError):
    """The kernel's output has no manifest."""


def fetch(run: Run, kernel: Kernel, report: Report) -> str:
    """Put what the kernel has trained into the run's folder and record.

    Returns "", or how it failed. Everything is checked before anything is changed. Raises
    NothingTrainedError if there is no manifest, and PipelineError if a file is missing, cut off, or
    not the kernel's; then the same command fetches again.
    """
    report("fetching what the kernel has trained")
    with TemporaryDirectory() as name:
        # The command writes a file whose name begins with "../" above its folder.
        folder = Path(name) / "kernel" / "output"
        folder.mkdir(parents=True)
        names = [MANIFEST, RUN_FILES, *(f"member-{index}.tar" for index in kernel.members)]
        kernels.fetch_output(kernel.name, folder, "|".join(map(re.escape, names)))
        manifest = _manifest(run, kernel, folder)
        unpacked = Path(name) / "unpacked"
        for file, expected in manifest.files.items():
            if file not in names[1:]:
                raise _unusable(run, kernel, f"names a file {printable(file)!r}")
            _check(run, kernel, folder / file, expected)
            _unpack(run, kernel, folder / file, unpacked / file.removesuffix(".tar"))
        for index in kernel.members:
            _check_member(run, kernel, manifest, unpacked / f"member-{index}", index)
        _adopt(run, kernel, manifest, unpacked)
    members = [run.record.members[index] for index in kernel.members]
    done = sum(one.status == "done" for one in members)
    report(f"{done} of {len(members)} member{'s' * (len(members) > 1)} trained on Kaggle")
    if manifest.end in (DONE, OUT_OF_TIME):
        return ""
    return printable(manifest.end, 200) or "it was ended before its training was"


def _manifest(run: Run, kernel: Kernel, folder: Path) -> Manifest:
    """Return the kernel's manifest. Raises PipelineError if there is none, or another one's."""
    try:
        content = files.read_bytes(folder / MANIFEST, LARGEST_MANIFEST)
        manifest = Manifest.model_validate_json(content)
    except FileNotFoundError:
        raise NothingTrainedError(f"it has left no {MANIFEST}, so nothing was trained") from None
    except (OSError, ValidationError, ValueError):
        raise _unusable(run, kernel, f"has a damaged {MANIFEST}") from None
    record = manifest.record
    if (manifest.slug, record.identity) != (kernel.slug, run.record.identity):
        raise _unusable(run, kernel, f"is of the kernel {manifest.slug} and the run {record.id}")
    if len(record.members) != len(run.record.members):
        raise _unusable(run, kernel, "is of another number of members")
    return manifest


def _check(run: Run, kernel: Kernel, path: Path, expected: PackedFile) -> None:
    """Raise PipelineError if a file is not the one that the manifest describes."""
    if not path.is_file():
        raise _unusable(run, kernel, f"lacks {path.name}")
    size = path.stat().st_size
    if size != expected.bytes:
        instead = f"{size:,} bytes of {path.name} instead of {expected.bytes:,}"
        raise _unusable(run, kernel, f"has {instead}")
    if files.sha256(path) != expected.sha256:
        raise _unusable(run, kernel, f"has another {path.name} than {MANIFEST} says")


def _check_member(run: Run, kernel: Kernel, manifest: Manifest, folder: Path, index: int) -> None:
    """Raise PipelineError unless a member is the run's, with its recorded checkpoints."""
    ours, theirs = run.record.members[index], manifest.record.members[index]
    most = run.training.recipe.training.epochs
    if (ours.fold, ours.seed) != (theirs.fold, theirs.seed) or theirs.epochs > most:
        raise _unusable(run, kernel, f"has another member {index + 1} than the run")
    if not folder.is_dir():
        return
    if theirs.status == "done" and not theirs.checkpoints:
        raise _unusable(run, kernel, f"has no checkpoints of member {index + 1}")
    for one in theirs.checkpoints:
        path = folder / CHECKPOINTS_FOLDER / one.file
        name = f"{MEMBERS_FOLDER}/{index}/{CHECKPOINTS_FOLDER}/{one.file}"
        if not path.is_file() or files.sha256(path) != manifest.record.sha256.get(name):
            raise _unusable(run, kernel, f"lacks {one.file}, or has another one")


def _unusable(run: Run, kernel: Kernel, problem: str) -> PipelineError:
    return PipelineError(
        f"the output of {kernel.url} {problem}; nothing was changed here; the same command fetches "
        f"it again, and make stop RUN={run.id} gives it up"
    )


def _unpack(run: Run, kernel: Kernel, path: Path, folder: Path) -> None:
    """Unpack a tar file, which is not compressed, into a folder. Other names are refused."""
    allowed = RUN_FILE if path.name == RUN_FILES else MEMBER_FILE
    try:
        with tarfile.open(path, "r:") as file:
            for number, entry in enumerate(file):
                known = entry.isreg() and not entry.issparse() and allowed.fullmatch(entry.name)
                if not known or number >= MOST_FILES:
                    raise _unusable(run, kernel, f"has {printable(entry.name)!r} in {path.name}")
                file.extract(entry, folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        problem = f"has a {path.name} that cannot be read ({printable(error)})"
        raise _unusable(run, kernel, problem) from None


def _adopt(run: Run, kernel: Kernel, manifest: Manifest, unpacked: Path) -> None:
    """Put unpacked files into the run's folder, and what they mean into its record.

    The record fits the files at each moment. After a kill in between, the next command does the
    rest.
    """
    record, theirs = run.training, manifest.record
    for index in kernel.members:
        if _is_better(theirs.members[index], record.members[index]):
            _adopt_member(run, theirs, index, unpacked / f"member-{index}")
    rest = unpacked / Path(RUN_FILES).stem
    for path in sorted(rest.rglob("*.*")) if rest.is_dir() else ():
        name = path.relative_to(rest).as_posix()
        if (run.folder / name).parent.is_dir():
            files.publish(path, run.folder / name)
        if name in theirs.sha256:
            record.sha256[name] = theirs.sha256[name]
    if record.members == theirs.members:
        record.scores = theirs.scores
    record.hardware, record.versions = theirs.hardware, theirs.versions
    _add_timings(record.timings, theirs.timings)
    run.save()


def _is_better(theirs: Member, ours: Member) -> bool:
    """Return whether a member was trained further in the kernel than here."""
    return ours.status != "done" and (
        theirs.status == "done" or theirs.epochs > ours.epochs or theirs.status == "failed"
    )


def _adopt_member(run: Run, theirs: TrainingRecord, index: int, source: Path) -> None:
    """Put a member's files into the run's folder, and its state into the record."""
    record, member, target = run.training, theirs.members[index], run.member_folder(index)
    if source.is_dir():
        prefix = f"{MEMBERS_FOLDER}/{index}/"
        anew = {"status": "pending", "epochs": 0, "checkpoints": []}
        record.members[index] = record.members[index].model_copy(update=anew)
        record.sha256 = {
            name: one for name, one in record.sha256.items() if not name.startswith(prefix)
        }
        run.save()  # from here on, the files in the folder do not count
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        shutil.move(source, target)
        ended = "interrupted" if member.status == "running" else member.status
        record.members[index] = member.model_copy(update={"status": ended})
        record.sha256 |= {
            name: one for name, one in theirs.sha256.items() if name.startswith(prefix)
        }
    elif member.status == "failed" and not record.members[index].epochs:
        record.members[index] = member.model_copy(update={"checkpoints": []})
    run.save()


def _add_timings(timings: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Add the seconds of training there to those of training here. Other times are the last."""
    before = timings.get("training_seconds", 0.0)
    timings.update(theirs)
    timings["training_seconds"] = round(before + theirs.get("training_seconds", 0.0), 1)
