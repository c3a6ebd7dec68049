"""Whether there is an NVIDIA GPU to train on, found out without TensorFlow."""

import os
import subprocess


def driver_answers() -> bool:
    """Say whether an NVIDIA driver lists a GPU, asked as the Makefile asks that picks packages."""
    try:
        asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and bool(asked.stdout)


def gpu_expected() -> bool:
    """Say whether TensorFlow should see a GPU: there is one that CUDA_VISIBLE_DEVICES shows."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0") not in ("", "-1") and driver_answers()
