"""The 70,000 digits of MNIST, read from the gzipped IDX files in `data/mnist`."""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.data.spec import SPEC

TRAINING_PART, TEST_PART = "train", "t10k"
"""How MNIST's file names begin: those of the training digits and those of the test digits."""

CHECKSUMS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""SHA-256 of each file after decompression: unlike that of the .gz, it does not depend on who
compressed the copy. data/mnist/README.md lists both."""

TRAINING_ROWS, TEST_ROWS = 60_000, 10_000
"""The digits that MNIST's authors train on, and those that they test on."""

_IMAGES_HEADER = 16  # bytes: magic number, count, height, width
_LABELS_HEADER = 8  # bytes: magic number, count


def images_path(folder: Path, part: str) -> Path:
    """Return the path of the images file of `TRAINING_PART` or `TEST_PART` in `folder`."""
    return folder / f"{part}-images-idx3-ubyte.gz"


def read_mnist(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return MNIST's images, uint8 [70000, 784] in 0..255, and labels, uint8 [70000] in 0..9.

    The 60,000 training digits come first. `folder` holds the four `<name>.gz` files of
    `CHECKSUMS`. Raises PipelineError if one is missing or its content is not MNIST's.
    """
    parts = [
        _read_raw(images_path(folder, part))[_IMAGES_HEADER:] for part in (TRAINING_PART, TEST_PART)
    ]
    images = [np.frombuffer(part, dtype=np.uint8).reshape(-1, SPEC.pixels) for part in parts]
    return np.concatenate(images), read_labels(folder)


def read_labels(folder: Path) -> NDArray[np.uint8]:
    """Return MNIST's labels alone, as `read_mnist` does."""
    parts = [
        _read_raw(folder / f"{part}-labels-idx1-ubyte.gz")[_LABELS_HEADER:]
        for part in (TRAINING_PART, TEST_PART)
    ]
    return np.concatenate([np.frombuffer(part, dtype=np.uint8) for part in parts])


def _read_raw(path: Path) -> bytes:
    """Return the decompressed content of one file, after comparing its checksum."""
    fix = "restore it with `git checkout -- data/mnist`"
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; {fix}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise PipelineError(f"{path}: cannot be decompressed ({error}); {fix}") from None
    checksum, expected = hashlib.sha256(content).hexdigest(), CHECKSUMS[path.stem]
    if checksum != expected:
        raise PipelineError(
            f"{path}: SHA-256 of the content is {checksum[:12]}..., MNIST's is "
            f"{expected[:12]}...; {fix}"
        )
    return content
