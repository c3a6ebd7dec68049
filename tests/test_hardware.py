"""What the automatic settings mean on each kind of device, and what is reported of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline import recipe
from pipeline.common import startup
from pipeline.data.digits import Digits
from pipeline.data.split import hold_out
from pipeline.executors.tasks import Task
from pipeline.executors.worker import run_task
from pipeline.runs import Member
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from pipeline.stages.train import train
from pipeline.training import hardware
from pipeline.training.events import Event, Finished
from tests.commands import plain_environment

FLAGS = "processor : 0\nflags : fpu avx2 {}\nprocessor : 1\nflags : fpu avx2 {}\n"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("avx512_bf16", "avx512_bf16", True),
        ("amx_bf16", "amx_bf16 avx512_bf16", True),
        ("avx512f", "avx512f", False),
        ("avx512_bf16", "avx512f", False),
    ],
)
def test_bfloat16_is_detected_not_assumed(
    first: str, second: str, expected: bool, tmp_path: Path
) -> None:
    information = tmp_path / "cpuinfo"
    information.write_text(FLAGS.format(first, second))
    assert hardware.cpu_multiplies_bfloat16(information) is expected


def test_a_system_without_cpuinfo_gets_float32(tmp_path: Path) -> None:
    assert not hardware.cpu_multiplies_bfloat16(tmp_path / "absent")


@pytest.mark.parametrize(("native", "automatic"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_a_cpu_predicts_in_bfloat16_if_it_multiplies_that(
    native: bool, automatic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "cpu_multiplies_bfloat16", lambda: native)
    assert hardware.prediction_precision(recipe.load("bn_cnn").prediction) == automatic
    for precision in ("float32", "mixed_bfloat16"):
        settings = recipe.load("bn_cnn", f"prediction.precision={precision}").prediction
        assert hardware.prediction_precision(settings) == precision


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((6, 1), "float32"), ((7, 5), "mixed_float16"), ((8, 0), "mixed_bfloat16")],
)
def test_a_gpu_trains_in_the_precision_of_its_units_and_with_xla(
    capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test machines have no GPU, so TensorFlow's answers about GPUs are replaced.
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    growth = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [gpu])
    experimental = tf.config.experimental
    monkeypatch.setattr(
        experimental, "set_memory_growth", lambda device, on: growth.append((device, on))
    )
    details = {"device_name": "Test GPU", "compute_capability": capability}
    monkeypatch.setattr(experimental, "get_device_details", lambda device: details)
    device = hardware.prepare(recipe.load("bn_cnn").training)
    assert (device.precision, device.xla, device.gpus) == (precision, True, ["Test GPU"])
    assert growth == [(gpu, True)]
    monkeypatch.setattr(hardware, "cpu_multiplies_bfloat16", lambda: True)
    assert hardware.prediction_precision(recipe.load("bn_cnn").prediction) == "float32"
    device = hardware.prepare(
        recipe.load("bn_cnn", "training.precision=float32 training.xla=off").training
    )
    assert (device.precision, device.xla) == ("float32", False)
    monkeypatch.setattr(experimental, "enable_op_determinism", lambda: None)
    for xla in ("auto", "on"):
        settings = recipe.TrainingSettings.model_validate({"deterministic": True, "xla": xla})
        assert not hardware.prepare(settings).xla


@pytest.mark.parametrize(
    ("answer", "visible", "expected"),
    [
        ("echo 'GPU 0: Test'", None, True),
        ("echo 'GPU 0: Test'", "1", True),
        ("echo 'GPU 0: Test'", "-1", False),
        ("echo 'GPU 0: Test'", "", False),
        ("true", None, False),
        ("echo 'no driver'; exit 9", None, False),
    ],
)
def test_a_gpu_is_expected_where_the_driver_lists_one_that_is_not_hidden(
    answer: str,
    visible: str | None,
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(f'#!/bin/sh\ntest "$*" = -L && {{ {answer}; }}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert startup.gpu_expected() is expected


def test_no_nvidia_smi_means_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not startup.nvidia_driver_answers()


PREPARE = """
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled
from pipeline import recipe
from pipeline.training import hardware
device = hardware.prepare(recipe.load("quick", "training.deterministic={}").training, threads={})
print(tf.config.threading.get_intra_op_parallelism_threads(), is_op_determinism_enabled())
print(device.threads == (1 if {} else device.cores))
"""


@pytest.mark.parametrize(
    ("deterministic", "threads", "expected"),
    [("true", 1, "1 True\nTrue\n"), ("false", None, "0 False\nTrue\n")],
)
def test_prepare_sets_tensorflows_threads_and_determinism(
    deterministic: str, threads: int | None, expected: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE.format(deterministic, threads, threads)],
        env=plain_environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout == expected, done.stderr


def test_a_gpu_that_tensorflow_cannot_use_is_reported(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=1")
    monkeypatch.setattr("pipeline.stages.train.gpu_expected", lambda: True)
    lines: list[str] = []
    train(Context(tmp_path, Request(recipe=settings, source=str(small_digits)), lines.append))
    assert sum(line.startswith("this machine has an NVIDIA GPU, but") for line in lines) == 1


def test_an_unused_ray_address_is_reported(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=1")
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    lines: list[str] = []
    train(Context(tmp_path, Request(recipe=settings, source=str(small_digits)), lines.append))
    message = "RAY_ADDRESS has no effect here; EXECUTOR=ray trains on that cluster"
    assert lines.count(message) == 1


def test_a_member_that_uses_no_gpu_has_them_hidden_in_its_worker(
    labelled: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe.load("mlp_50", "training.epochs=1 members.gpus=0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    split = hold_out(labelled.labels, 0.25, 0, "d" * 64)
    events: list[Event] = []
    task = Task(settings, Member(index=0, seed=0), split, None)
    run_task(task, labelled, tmp_path, events.append)
    assert isinstance(events[-1], Finished)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
