"""The devices a run trains on, and what the recipe's automatic settings mean on them."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import tensorflow as tf

from pipeline.common.errors import PipelineError
from pipeline.recipe import PredictionSettings, TrainingSettings


@dataclass(frozen=True)
class Hardware:
    """What a run was trained on, as its record keeps it.

    `cores` are those that this process may use, `threads` those of TensorFlow's that share an
    operation.
    """

    processor: str
    cores: int
    threads: int
    gpus: list[str]
    precision: str
    xla: bool

    def record(self) -> dict[str, object]:
        """Return the fields as plain values for run.json."""
        return asdict(self)

    def describe(self) -> str:
        """Return one line for the person."""
        devices = ", ".join(self.gpus) or f"{self.threads} CPU core{'s'[: self.threads - 1]}"
        return f"{devices}, {self.precision}{', XLA' if self.xla else ''}"


def prepare(settings: TrainingSettings, threads: int | None = None) -> Hardware:
    """Find the devices, let GPUs take memory as they need it, and settle `auto` settings.

    `threads` are those that TensorFlow uses for an operation; None leaves it all cores. Call it
    before the first tensor is made: TensorFlow fixes its memory policy and its threads then.
    Raises PipelineError if it runs with another number already.
    """
    gpus = grow_memory()
    cores = joblib.cpu_count()
    if threads:
        fix_threads(threads)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    wanted = {"auto": bool(gpus), "on": True, "off": False}
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capabilities = [detail.get("compute_capability", (0, 0)) for detail in details]
    return Hardware(
        processor=platform.processor() or platform.machine(),
        cores=cores,
        threads=threads or cores,
        gpus=[
            detail.get("device_name", gpu.name) for gpu, detail in zip(gpus, details, strict=True)
        ],
        precision=_precision(settings.precision, min(capabilities, default=None)),
        # Keras refuses XLA where TensorFlow is deterministic (model_supports_jit).
        xla=not settings.deterministic and wanted[settings.xla],
    )


def hide_gpus() -> None:
    """Have neither this process nor those that it starts use a GPU; call it before `prepare`."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def fix_threads(threads: int) -> None:
    """Have TensorFlow use so many threads for an operation, and run so many operations at once.

    Raises PipelineError if TensorFlow runs with another number already.
    """
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
    """Let every GPU take memory as it is needed, not all at once; return the GPUs.

    Where TensorFlow uses them already, as it may in a notebook, it keeps its way.
    """
    gpus = tf.config.list_physical_devices("GPU")
    with suppress(RuntimeError):
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    return list(gpus)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Have GPUs multiply float32 as it is, and not as TensorFloat-32, which has 10 bits of it.

    From compute capability 8.0 on TensorFlow takes the latter (`enable_tensor_float_32_execution`).
    """
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(allowed)


def prediction_precision(settings: PredictionSettings) -> str:
    """Return the Keras dtype policy for predictions; GPUs are fast enough in float32."""
    if settings.precision != "auto":
        return settings.precision
    faster = not tf.config.list_physical_devices("GPU") and cpu_multiplies_bfloat16()
    return "mixed_bfloat16" if faster else "float32"


def _precision(asked: str, capability: tuple[int, int] | None) -> str:
    """Return a Keras dtype policy; `capability` is the weakest GPU's, None without one.

    Tensor cores multiply float16 from compute capability 7.0 on and bfloat16, which needs no
    loss scaling, from 8.0 on (NVIDIA, "Train with mixed precision", and the Ampere whitepaper).
    """
    if asked != "auto":
        return asked
    if capability is None:
        return "mixed_bfloat16" if cpu_multiplies_bfloat16() else "float32"
    if capability < (7, 0):
        return "float32"
    return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"


def cpu_multiplies_bfloat16(information: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether every core has bfloat16 instructions that TensorFlow's oneDNN uses.

    Those are AVX512_BF16 and AMX (oneDNN, "CPU dispatcher control"). Without them bfloat16 is
    emulated and slower than float32. `information` is Linux's description of the processors; on
    a system without it the answer is no.
    """
    try:
        lines = information.read_text().splitlines()
    except OSError:
        return False
    flags = [set(line.split()) for line in lines if line.startswith("flags")]
    return bool(flags) and all(core & {"avx512_bf16", "amx_bf16"} for core in flags)
