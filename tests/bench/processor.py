"""The processor that a measurement is made on."""

import platform
from pathlib import Path


def name() -> str:
    """Return the model name of the processor on Linux, and its architecture elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
