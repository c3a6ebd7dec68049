"""Kernels at the stand-in for Kaggle: each pushed script really runs, in a process of its own.

A kernel's folders lie as at Kaggle: input/ with the competition's files, working/ for its output,
in which it starts. It sees no GPU, but a `nvidia-smi` that lists two.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.kaggle_state import SLUG, STORAGE, USERNAME

GPUS = "GPU 0: Tesla T4 (UUID: GPU-0)\nGPU 1: Tesla T4 (UUID: GPU-1)\n"
TOTAL_HOURS = 30.0


@dataclass
class KernelFaults:
    """What goes wrong with kernels."""

    push_error: str = ""
    """Why a push is refused, in an answer that is otherwise a success."""
    invalid_sources: bool = False
    """The competition is left out, and the kernel is pushed anyway."""
    lose_push_reply: bool = False
    """A kernel is pushed, but the answer never arrives."""
    gpus: str = GPUS
    """What nvidia-smi lists. Empty: there is no GPU."""
    used_hours: float = 1.0
    """GPU time used this week."""
    new_place: bool = False
    """The competition's files are mounted below input/competitions/."""
    unreadable_statuses: int = 0
    """How many questions for a status are answered with 500 or 429, in turn."""
    never_ends: bool = False
    """The status stays "running" when the kernel has ended."""
    status: str = ""
    """The status that is told, whatever the kernel does."""
    output_names: dict[str, str] = field(default_factory=dict)
    """Other names for output files."""
    cut_output: str = ""
    """The file of the output of which only half is sent."""
    altered_output: str = ""
    """The file of the output in which a byte is changed."""
    hidden: bool = False
    """Kaggle refuses to show any kernel."""
    cut_logs: int = 0
    """How many times the log is cut off in the middle of its stream."""


@dataclass
class Kernel:
    """A pushed kernel: its request, its folder, and the process that runs it."""

    slug: str
    request: dict[str, Any]
    folder: Path
    process: "subprocess.Popen[str]"
    started: float
    log: list[dict[str, Any]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def status(self) -> str:
        """Its status in Kaggle's words."""
        if not self.ended.is_set():
            return "RUNNING"
        return "ERROR" if self.process.returncode else "COMPLETE"

    def read_log(self) -> None:
        """Keep what the process prints, until it ends."""
        assert self.process.stdout
        for line in self.process.stdout:
            seconds = time.monotonic() - self.started
            self.log.append({"stream_name": "stdout", "time": seconds, "data": line})
        self.process.stdout.close()
        self.process.wait()
        self.ended.set()

    def end(self) -> None:
        """Kill the process with all that it has started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.ended.wait(10)

    def outputs(self) -> list[str]:
        """Return the names of the output files."""
        working = self.folder / "working"
        return sorted(str(one.relative_to(working)) for one in working.rglob("*") if one.is_file())


class Kernels:
    """All kernels, in `folder`, with the competition's files in `data`.

    `python` runs the scripts.
    """

    def __init__(self, folder: Path, data: Path, python: str = sys.executable) -> None:
        self.folder, self.data, self.python = folder, data, python
        self.faults = KernelFaults()
        self.kernels: dict[str, Kernel] = {}
        self.deleted: list[str] = []
        self.pushes: list[dict[str, Any]] = []

    def push(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a kernel, and return the answer."""
        if self.faults.push_error:
            return {"error": self.faults.push_error}
        self.pushes.append(request)
        owner, slug = request["slug"].split("/")
        assert owner == USERNAME
        valid = not self.faults.invalid_sources
        mounted = valid and request["competitionDataSources"] == [SLUG]
        self.kernels[slug] = self._start(slug, request, mounted)
        return {
            "ref": f"/code/{request['slug']}",
            "url": f"https://www.kaggle.com/code/{request['slug']}",
            "versionNumber": 1,
            "invalidCompetitionSources": [] if valid else [SLUG],
        }

    def _start(self, slug: str, request: dict[str, Any], mounted: bool) -> Kernel:
        folder = self.folder / slug
        working = folder / "working"
        working.mkdir(parents=True)
        if mounted:
            place = folder / "input" / ("competitions" if self.faults.new_place else "")
            place.mkdir(parents=True)
            (place / SLUG).symlink_to(self.data)
        script = folder / "script.py"
        script.write_text(request["text"])
        process = subprocess.Popen(
            [self.python, "-P", str(script)],
            cwd=working,
            env=self._environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        kernel = Kernel(slug, request, folder, process, time.monotonic())
        threading.Thread(target=kernel.read_log, daemon=True).start()
        return kernel

    def _environment(self, folder: Path) -> dict[str, str]:
        """Return the variables of a kernel, without any of the person's credentials."""
        programs = folder / "bin"
        programs.mkdir()
        if self.faults.gpus:
            program = programs / "nvidia-smi"
            program.write_text(f"#!/bin/sh\nprintf '%s' '{self.faults.gpus}'\n")
            program.chmod(0o755)
        dropped = ("KAGGLE_", "PYTHON", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return {
            **kept,
            "HOME": str(folder),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "KAGGLE_KERNEL_RUN_TYPE": "Batch",
            "CUDA_VISIBLE_DEVICES": "-1",  # the GPUs that nvidia-smi lists are not there
        }

    def status(self, slug: str) -> dict[str, Any] | int:
        """Return the answer to the question for a kernel's status, or an HTTP status."""
        if self.faults.unreadable_statuses > 0:
            self.faults.unreadable_statuses -= 1
            return 500 if self.faults.unreadable_statuses % 2 else 429
        kernel = self.kernels.get(slug)
        if kernel is None or self.faults.hidden:
            return 403
        status = self.faults.status or ("RUNNING" if self.faults.never_ends else kernel.status)
        failed = status == "ERROR"
        return {"status": status, **({"failureMessage": "exit code 1"} if failed else {})}

    def output(self, slug: str, size: int, token: str) -> dict[str, Any] | int:
        """Return a page of the list of a kernel's output files, and its log."""
        kernel = self.kernels.get(slug)
        if kernel is None:
            return 403
        names, first = kernel.outputs(), int(token or 0)
        page = names[first : first + size]
        files = [
            {
                "fileName": self.faults.output_names.get(name, name),
                "url": f"{STORAGE}/kernel/{slug}/{name}",
            }
            for name in page
        ]
        more = str(first + size) if first + size < len(names) else ""
        return {"files": files, "log": json.dumps(kernel.log), "nextPageToken": more}

    def file(self, slug: str, name: str) -> bytes:
        """Return an output file, as a fault may have changed it."""
        content = (self.kernels[slug].folder / "working" / name).read_bytes()
        if name == self.faults.cut_output:
            return content[: len(content) // 2]
        if name == self.faults.altered_output:
            middle = len(content) // 2
            return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        return content

    def events(self, slug: str) -> Iterator[bytes]:
        """Yield a kernel's log as server-sent events, as it grows. Stops early if cut off."""
        kernel, sent = self.kernels[slug], 0
        while True:
            ended = kernel.ended.is_set()
            for event in kernel.log[sent:]:
                yield f"data: {json.dumps(event)}\n\n".encode()
                sent += 1
            if self.faults.cut_logs > 0 and sent:
                self.faults.cut_logs -= 1
                return
            if ended:
                yield b"data: END_OF_LOG\n\n"
                return
            kernel.ended.wait(0.1)

    def delete(self, slug: str) -> dict[str, Any] | int:
        """End a kernel, and forget it."""
        kernel = self.kernels.pop(slug, None)
        if kernel is None:
            return 404
        kernel.end()
        self.deleted.append(slug)
        return {}

    def listing(self) -> list[dict[str, Any]]:
        """Return the kernels as the service lists them, the last one first."""
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return [
            {"ref": f"{USERNAME}/{slug}", "title": slug, "author": USERNAME, "lastRunTime": when}
            for slug in reversed(self.kernels)
        ]

    def quota(self) -> dict[str, Any]:
        """Return the quota, with the time that kernels have run."""
        now = time.monotonic()
        running = sum(now - one.started for one in self.kernels.values()) / 3600
        used = self.faults.used_hours + running
        return {
            "quotaRefreshTime": "2026-11-28T00:00:00Z",
            "gpuQuota": {
                "timeUsed": f"{used * 3600:.3f}s",
                "totalTimeAllowed": f"{TOTAL_HOURS * 3600:.0f}s",
            },
        }

    def stop(self) -> None:
        """Kill all kernels."""
        for kernel in self.kernels.values():
            kernel.end()

    def wait_for_end(self, seconds: float = 120) -> None:
        """Wait until all kernels have ended."""
        for kernel in self.kernels.values():
            assert kernel.ended.wait(seconds), "".join(one["data"] for one in kernel.log)
