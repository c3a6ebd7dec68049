"""What runs on Kaggle's machine: it sets up, trains the members of a run, and keeps their files.

This file is sent as it is, followed by a call of `main` with the job. It uses only Python's own
library, because it runs before anything is installed. The package comes with the job and does the
rest, with the command that trains on any other machine too.

In the working folder it leaves, for the way home, a tar file per trained member, at the end
`run.tar` with the run's other files, and `manifest.json` with the run's record and the checksums of
these files. The manifest is written last, and again each time a member is done. So what it names is
whole, however the kernel ends.
"""

import base64
import hashlib
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

LOOK_EVERY = 5.0  # seconds between two looks for members that are done
END_WITHIN = 120.0
"""Seconds after the time limit in which a command may end by itself, or predict."""
MANIFEST = "manifest.json"
RUN_FILES = "run.tar"
LAST_LINE = "kernel: all files are written"
DONE, OUT_OF_TIME = "done", "the time limit was reached"
"""How a kernel's training may end. Any other end is a failure, in words."""


def main(job: dict[str, Any], payload: str) -> NoReturn:
    """Train the job's run, and end the process: 0, or 1 where nothing could be trained.

    `job` has the run's id, the kernel's slug, the versions of Python and the libraries, and whether
    a GPU, the image's libraries and the probabilities are wanted. `payload` is a tar.xz in base64
    with the package, the run's record and the lock.
    """
    working, deadline = Path.cwd(), time.monotonic() + job["seconds"]
    # Where it is ignored, as in a background job, it would be ignored by all that starts here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    say("kernel: preparing this machine")
    if job["gpu"]:
        require_gpu()
    source = find_digits(working.parent, job["competition"], job["files"])
    root = Path(tempfile.mkdtemp())
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(base64.b64decode(payload)))) as file:
        file.extractall(root, filter="data")
    python = job_python(job, root)
    if job["gpu"]:
        require_tensorflow_gpu(python)
    run = root / "runs" / job["run"]
    say(f"kernel: training, until {job['seconds'] / 60:.0f} min after its start at the latest")
    command = [python, "-m", "pipeline", "train", "--run", job["run"], "--source", str(source)]
    end = call(command, root, job, deadline, lambda: keep(run, working, job))
    if not end and job["predict"]:
        command[3] = "ensemble"
        call(command, root, job, deadline + END_WITHIN, lambda: None)
    if not json.loads((run / "run.json").read_text())["hardware"]:
        fail("the command ended before it trained; the lines above say why")
    keep(run, working, job, end or DONE)
    say(LAST_LINE)
    sys.exit(0)


def say(line: str) -> None:
    """Print a line into the kernel's log."""
    print(line, flush=True)


def fail(problem: str) -> NoReturn:
    """Print what is wrong, and end the kernel with an error."""
    say(f"error: {problem}")
    sys.exit(1)


def require_gpu() -> None:
    """End the kernel unless the driver lists a GPU."""
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=30, text=True)
        gpus = listing.stdout.splitlines() if listing.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        gpus = []
    if not gpus:
        fail(
            "Kaggle gave this kernel no GPU; verify your phone number at "
            "https://www.kaggle.com/settings, and look at the quota there"
        )
    say(f"kernel: {len(gpus)} GPU{'s' * (len(gpus) > 1)}, {gpus[0].partition(' (UUID')[0]}")


def require_tensorflow_gpu(python: str) -> None:
    """End the kernel if TensorFlow does not see the GPU, unless GPUs are hidden on purpose."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return
    look = "import tensorflow as tf; raise SystemExit(not tf.config.list_physical_devices('GPU'))"
    if subprocess.run([python, "-c", look]).returncode:
        fail("TensorFlow does not see the GPU; KAGGLE_IMAGE=1 trains with the image's libraries")


def find_digits(kaggle: Path, competition: str, names: list[str]) -> Path:
    """Return the folder in which Kaggle has mounted the competition's files, or end the kernel."""
    for top in dict.fromkeys((kaggle, Path("/kaggle"))):
        for folder in (top / "input" / competition, top / "input" / "competitions" / competition):
            if all((folder / name).is_file() for name in names):
                return folder
    fail(
        f"the files of {competition} are not mounted; accept the rules at "
        f"https://www.kaggle.com/competitions/{competition}/rules"
    )


def job_python(job: dict[str, Any], root: Path) -> str:
    """Return the Python to train with: this one if its libraries fit, else one of its own."""
    if installed(list(job["versions"])) == job["versions"] and not missing(job["packages"]):
        return sys.executable
    if job["image"]:
        lacking = missing(job["packages"])
        if lacking:
            say(f"kernel: adding {', '.join(lacking)} to the image's libraries")
            pinned = [
                f"{name}=={pin}" if (pin := job["packages"][name]) else name for name in lacking
            ]
            install([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *pinned])
        return sys.executable
    wanted = job["versions"]["python"]
    say(f"kernel: installing the locked versions for Python {wanted}")
    started = time.monotonic()
    folder = root / "environment"
    tools, lock = root / "tools", root / "requirements.lock"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    install([*pip, "--target", str(tools), "-r", str(root / "uv.lock")])
    uv = str(tools / "bin" / "uv")
    if subprocess.run([uv, "venv", "--quiet", "--python", wanted, str(folder)]).returncode:
        fail(
            f"Python {wanted}, with which the run began, cannot be had here; begin it anew with "
            "another one (make clean, make setup PYTHON=<path>), or use KAGGLE_IMAGE=1"
        )
    python = str(folder / "bin" / "python")
    into = [uv, "pip", "install", "--quiet", "--python", python]
    install([*into, "--require-hashes", "--no-deps", "-r", str(lock)])
    say(f"kernel: installed in {time.monotonic() - started:.0f} s")
    return python


def installed(names: list[str]) -> dict[str, str | None]:
    """Return the versions of Python and of installed distributions, None for what is not there."""
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            own = ".".join(map(str, sys.version_info[:3])) if name == "python" else version(name)
        except PackageNotFoundError:
            own = None
        versions[name] = own
    return versions


def missing(packages: dict[str, str]) -> list[str]:
    """Return the names of the distributions that are not installed, in whatever version."""
    found = installed(list(packages))
    return [name for name in packages if found[name] is None]


def install(command: list[str]) -> None:
    """Run a command that installs, or end the kernel."""
    if subprocess.run(command).returncode:
        fail(
            "the libraries could not be installed; a kernel has internet only if your phone number "
            "is verified at https://www.kaggle.com/settings; KAGGLE_IMAGE=1 trains with the "
            "libraries of Kaggle's image instead"
        )


def call(
    command: list[str], root: Path, job: dict[str, Any], deadline: float, look: Callable[[], None]
) -> str:
    """Run a command of the package, and call `look` every few seconds. Return why it failed, or "".

    At the deadline the command gets a Ctrl-C, upon which it keeps what it has.
    """
    interrupted = False
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(root)}
    if job["image"]:
        environment["KAGGLE_IMAGE"] = "1"
    process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.STDOUT)
    while True:
        try:
            code = process.wait(LOOK_EVERY)
            if interrupted:
                return OUT_OF_TIME
            return f"its training ended with code {code}" if code else ""
        except subprocess.TimeoutExpired:
            look()
        if time.monotonic() > deadline + END_WITHIN:
            process.kill()
        elif time.monotonic() > deadline and not interrupted:
            say(f"kernel: {OUT_OF_TIME}")
            interrupted = True
            process.send_signal(signal.SIGINT)


def keep(run: Path, working: Path, job: dict[str, Any], end: str = "") -> None:
    """Write what has been trained here into the working folder, and the manifest last.

    `end` is how the training ended. Before its end, only members that are done are added, and
    nothing is written if there are no new ones.
    """
    manifest = working / MANIFEST
    files = json.loads(manifest.read_text())["files"] if manifest.exists() else {}
    before = len(files)
    record = json.loads((run / "run.json").read_text())
    for member in (one for one in record["members"] if one["index"] in job["members"]):
        name, folder = f"member-{member['index']}.tar", run / "members" / str(member["index"])
        final = member["status"] == "done" or (end and member["epochs"])
        if final and name not in files:
            files[name] = pack(working / name, files_in(folder), folder)
    if not end and len(files) == before:
        return
    if end:
        # The curves are drawn after a member is packed.
        pictures = [*run.glob("*.png"), *run.glob("members/*/curves.png")]
        others = [path for path in (run / "validation.npz", run / "test.npz") if path.is_file()]
        others += sorted(pictures)
        files[RUN_FILES] = pack(working / RUN_FILES, others, run)
    content = {"slug": job["slug"], "end": end, "record": record, "files": files}
    temporary = working / f".{MANIFEST}"
    temporary.write_text(json.dumps(content))
    temporary.replace(manifest)


def files_in(folder: Path) -> list[Path]:
    """Return the files in a folder and below it, but for temporary ones, whose names are hidden."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        path
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def pack(target: Path, paths: list[Path], folder: Path) -> dict[str, Any]:
    """Write a tar of files of a folder. Return its size and SHA-256."""
    temporary = target.with_name(f".{target.name}")
    with tarfile.open(temporary, "w") as file:
        for path in paths:
            file.add(path, path.relative_to(folder).as_posix())
    temporary.replace(target)
    content = target.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
