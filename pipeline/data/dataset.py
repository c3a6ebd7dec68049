"""The digits of one source: labelled rows, rows to predict, and what identifies them both."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.data import digits, mnist
from pipeline.data.digits import Digits
from pipeline.data.spec import SPEC


@dataclass(frozen=True)
class DataFiles:
    """Where a source's files are on this machine.

    `form` is "csv" for the competition's tables and "idx" for MNIST's own files. Tables that are
    `full_size` must have the competition's numbers of rows (42,000 and 28,000); those in a
    person's folder may have fewer.
    """

    train: Path
    test: Path
    full_size: bool = True
    form: Literal["csv", "idx"] = "csv"


class CsvDataset:
    """A competition's train.csv and test.csv, every cell checked, each read on first use.

    Each property raises PipelineError if a file is missing, damaged or deviates.
    """

    test_labels = None

    def __init__(self, files: DataFiles) -> None:
        self._files = files

    @cached_property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change with any byte of the files."""
        return digits.fingerprint(self._files.train, self._files.test)

    @cached_property
    def labelled(self) -> Digits:
        """The rows of train.csv, to train and validate on."""
        rows = SPEC.train_rows if self._files.full_size else None
        labelled = digits.read_train(self._files.train, rows)
        if len(set(labelled.labels.tolist())) < 2:
            raise PipelineError(
                f"{self._files.train}: has only the digit {labelled.labels[0]}; at least two "
                "different digits are needed to train on"
            )
        return labelled

    @cached_property
    def test_images(self) -> NDArray[np.uint8]:
        """The rows of test.csv, to predict: uint8 [n, 28, 28, 1]."""
        rows = SPEC.test_rows if self._files.full_size else None
        return digits.read_test(self._files.test, rows)


class MnistDataset:
    """MNIST as its authors divide it: 60,000 rows to train on, 10,000 to test on, all labelled.

    The files are read on first use. Properties raise PipelineError if one is missing or damaged.
    """

    fingerprint = hashlib.sha256("\n".join(mnist.CHECKSUMS.values()).encode()).hexdigest()
    """What identifies the files' contents, whose checksums are compared at each reading."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _all(self) -> Digits:
        images, labels = mnist.read_mnist(self._folder)
        return Digits(images=digits.as_images(images), labels=labels)

    @property
    def labelled(self) -> Digits:
        """The rows to train and validate on."""
        count = mnist.TRAINING_ROWS
        return Digits(images=self._all.images[:count], labels=self._all.labels[:count])

    @property
    def test_images(self) -> NDArray[np.uint8]:
        """The rows to predict: uint8 [10000, 28, 28, 1]."""
        return self._all.images[mnist.TRAINING_ROWS :]

    @property
    def test_labels(self) -> NDArray[np.uint8]:
        """Their public labels, uint8 [10000]."""
        return self._all.labels[mnist.TRAINING_ROWS :]


Dataset = CsvDataset | MnistDataset
"""The digits of one source."""


def open_dataset(files: DataFiles) -> Dataset:
    """Return the digits in `files`, whatever their form. Nothing is read yet."""
    return MnistDataset(files.train.parent) if files.form == "idx" else CsvDataset(files)
