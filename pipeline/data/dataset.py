"""The digits of one source: labelled rows, rows to predict, and what identifies them both."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.data import digits, mnist
from pipeline.data.digits import SIDE, Digits
from pipeline.data.spec import SPEC


@dataclass(frozen=True)
class DataFiles:
    """Where a competition's files lie on this machine.

    `form` is "csv" for the competition's tables and "idx" for MNIST's own files. `real` says that
    tables must have the competition's own number of rows (42,000 and 28,000); a person's folder
    may hold fewer.
    """

    train: Path
    test: Path
    real: bool = True
    form: Literal["csv", "idx"] = "csv"


class Dataset(Protocol):
    """Digits that are read when they are first asked for, and then kept.

    Each property raises PipelineError where a file is missing, damaged or deviates.
    """

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with any pixel or label."""
        ...

    @property
    def labelled(self) -> Digits:
        """The rows to train and validate on."""
        ...

    @property
    def test_images(self) -> NDArray[np.uint8]:
        """The rows to predict: uint8 [n, 28, 28, 1]."""
        ...

    @property
    def test_labels(self) -> NDArray[np.uint8] | None:
        """Their labels, uint8 [n], where the source publishes them; else None."""
        ...


class CsvDataset:
    """A competition's train.csv and test.csv, every cell checked."""

    test_labels = None

    def __init__(self, files: DataFiles) -> None:
        self._files = files

    @cached_property
    def fingerprint(self) -> str:
        """What identifies the bytes of both files."""
        return digits.fingerprint(self._files.train, self._files.test)

    @cached_property
    def labelled(self) -> Digits:
        """The rows of train.csv."""
        return digits.read_train(self._files.train, SPEC.train_rows if self._files.real else None)

    @cached_property
    def test_images(self) -> NDArray[np.uint8]:
        """The rows of test.csv."""
        return digits.read_test(self._files.test, SPEC.test_rows if self._files.real else None)


class MnistDataset:
    """MNIST as its authors part it: 60,000 rows to train on and 10,000 to test on, labelled."""

    fingerprint = hashlib.sha256("\n".join(mnist.CHECKSUMS.values()).encode()).hexdigest()
    """What identifies the files' contents, which are compared with it whenever they are read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _all(self) -> Digits:
        images, labels = mnist.read(self._folder)
        return Digits(images=images.reshape(-1, SIDE, SIDE, 1), labels=labels)

    @property
    def labelled(self) -> Digits:
        """MNIST's 60,000 training rows."""
        count = mnist.TRAINING_ROWS
        return Digits(images=self._all.images[:count], labels=self._all.labels[:count])

    @property
    def test_images(self) -> NDArray[np.uint8]:
        """MNIST's 10,000 test rows."""
        return self._all.images[mnist.TRAINING_ROWS :]

    @property
    def test_labels(self) -> NDArray[np.uint8]:
        """Their labels, which are public."""
        return self._all.labels[mnist.TRAINING_ROWS :]


def read(files: DataFiles) -> Dataset:
    """Return the digits in `files`, whichever their form; nothing is read yet."""
    return MnistDataset(files.train.parent) if files.form == "idx" else CsvDataset(files)
