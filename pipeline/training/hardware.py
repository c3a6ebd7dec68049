"""The devices that a run trains on, and what the recipe's automatic settings mean on them."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import loky
import tensorflow as tf

from pipeline.common.errors import PipelineError
from pipeline.recipe import PredictionSettings, TrainingSettings


@dataclass(frozen=True)
class Hardware:
    """What a member trains on, as the run's record keeps it.

    `cores` are those that the process may use, `threads` those of TensorFlow's that share an
    operation. `precision` is a Keras dtype policy.
    """

    processor: str
    cores: int
    threads: int
    gpus: list[str]
    precision: str
    xla: bool

    def describe(self) -> str:
        """Return one line for the person."""
        devices = ", ".join(self.gpus) or f"{self.threads} CPU core{'s'[: self.threads - 1]}"
        return f"{devices}, {self.precision}{', XLA' if self.xla else ''}"


def count_devices() -> tuple[int, int]:
    """Return the numbers of cores that this process may use, and of GPUs."""
    return loky.cpu_count(), len(grow_memory())


def prepare(settings: TrainingSettings, threads: int | None = None) -> Hardware:
    """Make TensorFlow ready to train on this machine, and resolve the settings that are `auto`.

    `threads` is the number of TensorFlow's threads per operation, None for all cores. Call it
    before the first tensor is made: TensorFlow fixes its threads then. Raises PipelineError if
    TensorFlow already runs with another number of threads.
    """
    gpus, cores = grow_memory(), loky.cpu_count()
    if threads:
        _fix_threads(threads)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capabilities = [detail.get("compute_capability", (0, 0)) for detail in details]
    xla = {"auto": bool(gpus), "on": True, "off": False}[settings.xla]
    return Hardware(
        processor=platform.processor() or platform.machine(),
        cores=cores,
        threads=threads or cores,
        gpus=[
            detail.get("device_name", gpu.name) for gpu, detail in zip(gpus, details, strict=True)
        ],
        precision=_precision(settings.precision, min(capabilities, default=None)),
        # Keras refuses XLA where TensorFlow is deterministic (model_supports_jit).
        xla=xla and not settings.deterministic,
    )


def hide_gpus() -> None:
    """Keep this process and its children off the GPUs. Call it before `prepare`."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def _fix_threads(threads: int) -> None:
    """Set the number of TensorFlow's threads per operation, and of operations at the same time."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        raise PipelineError(
            f"members.cpus, or training.deterministic, means {threads} CPU thread(s), but "
            "TensorFlow runs with another number in this process; train in processes of their own "
            "(EXECUTOR=processes)"
        ) from None


def grow_memory() -> list[tf.config.PhysicalDevice]:
    """Let every GPU take memory as it is needed, not all at once. Return the GPUs.

    Where TensorFlow uses them already, as it may in a notebook, its policy stays.
    """
    gpus = tf.config.list_physical_devices("GPU")
    with suppress(RuntimeError):
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    return list(gpus)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Have GPUs multiply in float32, and not in TensorFloat-32, which keeps 10 bits of a number.

    From compute capability 8.0 on, TensorFlow uses TensorFloat-32 by default (documentation of
    `enable_tensor_float_32_execution`).
    """
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(allowed)


def prediction_precision(settings: PredictionSettings) -> str:
    """Return the Keras dtype policy for predictions. GPUs are fast enough in float32."""
    if settings.precision != "auto":
        return settings.precision
    faster = not tf.config.list_physical_devices("GPU") and cpu_multiplies_bfloat16()
    return "mixed_bfloat16" if faster else "float32"


def _precision(setting: str, capability: tuple[int, int] | None) -> str:
    """Return the Keras dtype policy to train in.

    Tensor cores multiply float16 from compute capability 7.0 on, and bfloat16, which needs no
    loss scaling, from 8.0 on (NVIDIA, "Train with mixed precision", and the Ampere whitepaper).
    """
    if setting != "auto":
        return setting
    if capability is None:
        return "mixed_bfloat16" if cpu_multiplies_bfloat16() else "float32"
    if capability < (7, 0):
        return "float32"
    return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"


def cpu_multiplies_bfloat16(information: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether every core has bfloat16 instructions that TensorFlow's oneDNN uses.

    Those are AVX512_BF16 and AMX (oneDNN, "CPU dispatcher control"). Without them bfloat16 is
    emulated and slower than float32. `information` is Linux's description of the processors. On
    a system without it the answer is no.

    The library py-cpuinfo reads the same file, but looks at the first core only and takes 1.2 s in
    two processes of its own, which every command that trains or predicts would wait for.
    """
    try:
        lines = information.read_text().splitlines()
    except OSError:
        return False
    flags = [set(line.split()) for line in lines if line.startswith("flags")]
    return bool(flags) and all(core & {"avx512_bf16", "amx_bf16"} for core in flags)
