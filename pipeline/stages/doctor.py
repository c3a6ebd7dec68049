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
from pipeline.competitions.kaggle import kernels
from pipeline.competitions.kaggle.calls import has_entered
from pipeline.competitions.kaggle.credentials import SETTINGS_URL, exposure, find_credentials
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data.spec import SPEC
from pipeline.executors.kaggle import pushing

NEEDED_BYTES = 1_000_000_000
"""Disk space for the data (130 MB) and for some runs (20 MB each)."""

TOOLS = {
    "optuna": "make search",
    "cleanlab": "make audit",
    "mlflow": "MLFLOW_TRACKING_URI=<address>",
    "tensorboard": "TENSORBOARD=1",
}
"""The optional packages, and what installs them."""


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
    tensorflow, keras, ray = map(_version, ("tensorflow", "keras", "ray"))
    mnist = len(list(MNIST_FOLDER.glob("*.gz")))
    free = shutil.disk_usage(root).free
    return [
        _finding(
            "Python",
            platform.python_version(),
            (3, 11) <= sys.version_info[:2] <= (3, 13),
            "install Python 3.11, 3.12 or 3.13, then make clean setup PYTHON=<path>",
        ),
        _finding(
            "TensorFlow",
            f"{tensorflow}, Keras {keras}" if tensorflow and keras else "not installed",
            bool(tensorflow and keras),
            "make setup",
        ),
        _finding(
            "Ray",
            ray or "not installed; only EXECUTOR=ray needs it",
            bool(ray),
            "make setup EXECUTOR=ray",
        ),
        _tools(),
        _devices(),
        *_kaggle(),
        _finding("data/mnist", f"{mnist} of 4 files", mnist == 4, "git checkout -- data/mnist"),
        *(_data(root, source) for source in ("kaggle", "practice")),
        _finding(
            "free disk",
            f"{free / 1e9:.1f} GB",
            free >= NEEDED_BYTES,
            f"free {NEEDED_BYTES / 1e9:.0f} GB on this disk",
        ),
    ]


def _finding(subject: str, state: str, fine: bool, fix: str) -> Finding:
    return Finding(subject, state, "" if fine else fix)


def _version(package: str) -> str | None:
    """Return an installed package's version, None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tools() -> Finding:
    """Look for the packages of some targets, which those targets install when they need them."""
    versions = {name: _version(name) for name in TOOLS}
    states = [
        f"{name} {found}" if found else f"no {name} yet ({TOOLS[name]} installs it)"
        for name, found in versions.items()
    ]
    return Finding("tools", ", ".join(states))


def _devices() -> Finding:
    processor = f"{loky.cpu_count()} CPU cores"
    if not nvidia_driver_answers():
        return Finding("devices", f"{processor}, no NVIDIA GPU (training runs on the CPU)")
    cudnn = _version("nvidia-cudnn-cu12")
    libraries = f"cuDNN {cudnn}" if cudnn else "no CUDA libraries"
    state = f"{processor}, NVIDIA GPU, {libraries}"
    return _finding("devices", state, bool(cudnn), "make clean setup")


def _kaggle() -> list[Finding]:
    """Look at the credentials, and with them ask Kaggle for the rules and the GPU quota."""
    credentials = _credentials()
    try:
        if find_credentials() is None:
            return [credentials]
    except PipelineError:
        return [credentials]
    try:
        quota = kernels.quota()
    except PipelineError as error:
        return [credentials, Finding("Kaggle", "cannot be asked", str(error))]
    rules = _finding(
        "Kaggle rules",
        {True: "accepted", False: "not accepted", None: "not known"}[entered := has_entered()],
        entered is not False,
        f"accept them at {SPEC.url}/rules (Join Competition)",
    )
    if quota is None:
        fix = f"verify your phone number at {SETTINGS_URL}; only EXECUTOR=kaggle needs it"
        return [credentials, rules, Finding("Kaggle GPU", "no quota known", fix)]
    left = quota.remaining * 3600 > pushing.MARGIN + pushing.LEAST_SECONDS
    return [
        *(credentials, rules),
        _finding("Kaggle GPU", quota.describe(), left, "wait for the next week"),
    ]


def _credentials() -> Finding:
    fix = (
        f"make a token at {SETTINGS_URL} and save it as ~/.kaggle/access_token; the practice "
        "competition needs none"
    )
    try:
        credentials = find_credentials()
    except PipelineError as error:
        return Finding("Kaggle credentials", f"unusable: {error}", fix)
    if credentials and (warning := exposure()):
        return Finding("Kaggle credentials", credentials, warning)
    return _finding("Kaggle credentials", credentials or "none", bool(credentials), fix)


def _data(root: Path, source: str) -> Finding:
    files = [root / "data" / source / name for name in (SPEC.train_file, SPEC.test_file)]
    present = all(file.is_file() for file in files)
    fix = f"make data SOURCE={source} (make submit does this by itself)"
    return _finding(f"data/{source}", "present" if present else "not there yet", present, fix)
