"""The command `doctor`: checks what the pipeline needs on this machine, and says how to fix it."""

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import loky

from pipeline.common.errors import PipelineError
from pipeline.common.startup import nvidia_driver_answers
from pipeline.competitions.kaggle.credentials import SETTINGS_URL, find_credentials
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data.spec import SPEC

NEEDED_BYTES = 1_000_000_000
"""Disk space for the data (130 MB) and for some runs (20 MB each)."""


@dataclass(frozen=True)
class Finding:
    """One line of the report; `fix` is empty if `subject` is fine."""

    subject: str
    state: str
    fix: str = ""


def examine(root: Path) -> list[Finding]:
    """Check everything that the pipeline needs; `root` is the folder that holds data/.

    TensorFlow is not imported: its version comes from the installed package's metadata, and the
    devices from the system.
    """
    return [
        _python(),
        _tensorflow(),
        _ray(),
        _devices(),
        _credentials(),
        *_data(root),
        _disk(root),
    ]


def _python() -> Finding:
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    fix = "" if good else "install Python 3.11, 3.12 or 3.13, then make clean setup PYTHON=<path>"
    return Finding("Python", platform.python_version(), fix)


def _tensorflow() -> Finding:
    try:
        return Finding("TensorFlow", f"{version('tensorflow')}, Keras {version('keras')}")
    except PackageNotFoundError:
        return Finding("TensorFlow", "not installed", "make setup")


def _ray() -> Finding:
    try:
        return Finding("Ray", version("ray"))
    except PackageNotFoundError:
        return Finding(
            "Ray", "not installed; only EXECUTOR=ray needs it", "make setup EXECUTOR=ray"
        )


def _devices() -> Finding:
    processor = f"{loky.cpu_count()} CPU cores"
    if not nvidia_driver_answers():
        return Finding("devices", f"{processor}, no NVIDIA GPU (training runs on the CPU)")
    try:
        cuda = version("nvidia-cudnn-cu12")
    except PackageNotFoundError:
        return Finding("devices", f"{processor}, NVIDIA GPU, no CUDA libraries", "make clean setup")
    return Finding("devices", f"{processor}, NVIDIA GPU, cuDNN {cuda}")


def _credentials() -> Finding:
    fix = (
        f"make a token at {SETTINGS_URL} and save it as ~/.kaggle/access_token; the practice "
        "competition needs none"
    )
    try:
        credentials = find_credentials()
    except PipelineError as error:
        return Finding("Kaggle credentials", f"unusable: {error}", fix)
    return Finding("Kaggle credentials", credentials or "none", "" if credentials else fix)


def _data(root: Path) -> list[Finding]:
    mnist = len(list(MNIST_FOLDER.glob("*.gz")))
    findings = [
        Finding(
            "data/mnist",
            f"{mnist} of 4 files",
            "" if mnist == 4 else "git checkout -- data/mnist",
        )
    ]
    for source in ("kaggle", "practice"):
        folder = root / "data" / source
        present = all((folder / name).is_file() for name in (SPEC.train_file, SPEC.test_file))
        fix = "" if present else f"make data SOURCE={source} (make submit does this by itself)"
        findings.append(Finding(f"data/{source}", "present" if present else "not there yet", fix))
    return findings


def _disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    fix = "" if free >= NEEDED_BYTES else f"free {NEEDED_BYTES / 1e9:.0f} GB on this disk"
    return Finding("free disk", f"{free / 1e9:.1f} GB", fix)
