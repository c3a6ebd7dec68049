"""Which processor a measurement was made on."""

import platform
from pathlib import Path


def name() -> str:
    """Return the processor's name as Linux has it, or its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
