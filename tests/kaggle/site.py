"""A stand-in for Kaggle with kernels, and the runs that are trained there."""

import base64
import io
import lzma
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.common.errors import PipelineError
from pipeline.executors import kaggle
from pipeline.executors.kaggle import pushing, watching
from pipeline.recipe import Recipe, load
from pipeline.runs import Run, RunStore
from pipeline.stages import train as stage
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from tests.commands import REPOSITORY
from tests.kaggle_kernels import KernelFaults, Kernels
from tests.kaggle_stand_in import TOKEN, StandIn

SHORT = [(watching, name) for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "LONGEST_ABSENCE")]
SHORT += [(pushing, "SETTLE_PAUSE")]
SMALL = "training.epochs=1 training.deterministic=true"


@dataclass
class Site:
    """A stand-in with kernels, a folder for runs, and what was reported."""

    server: StandIn
    kernels: Kernels
    root: Path
    digits: Path
    lines: list[str] = field(default_factory=list)

    @property
    def faults(self) -> KernelFaults:
        return self.kernels.faults

    def context(self, settings: str = SMALL, **request: Any) -> Context:
        """Return a request for the digits that the stand-in mounts in its kernels."""
        recipe: Recipe = load("quick", settings, None)
        given = Request(recipe=recipe, source=str(self.digits), **request)
        return Context(self.root, given, self.lines.append)

    def run(self, settings: str = SMALL) -> Run:
        """Return a new run."""
        context = self.context(settings)
        return context.store.create(stage._describe(context, None))

    def train(self, run: Run, *, force: bool = False, image: bool = False) -> None:
        """Train a run at Kaggle, as a command does."""
        with run.held(), run.in_progress():
            kaggle.train_run(run, self.lines.append, image=image, force=force)

    def failure(self, action: Callable[[], object]) -> str:
        """Return the one line that `action` fails with."""
        with pytest.raises(PipelineError) as caught:
            action()
        text = str(caught.value)
        assert "\n" not in text
        assert TOKEN not in "\n".join([text, *self.lines])
        return text


def trained_here(settings: str, digits: Path, root: Path) -> Run:
    """Return a run of `quick` that was trained in a process of its own."""
    root.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pipeline", "ensemble", "--recipe", "quick", "--set", settings]
    command += ["--source", str(digits), "--executor", "serial"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    (run,) = RunStore(root / "runs").all()
    return run


def unpacked(script: str) -> dict[str, bytes]:
    """Return the files that a kernel's source carries."""
    (payload,) = re.findall(r"\), '([A-Za-z0-9+/=]+)'\)", script)
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(base64.b64decode(payload)))) as file:
        members = [(one.name, file.extractfile(one)) for one in file]
        return {name: content.read() for name, content in members if content}


def only_run(site: Site) -> Run:
    (run,) = RunStore(site.root / "runs").all()
    return run
