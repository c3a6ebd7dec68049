"""MNIST's own parts as a source, and the sources by name."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions import sources
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import dataset, mnist


def test_mnist_is_parted_as_its_authors_do() -> None:
    images, labels = mnist.read(MNIST_FOLDER)
    source = sources.choose("mnist", 0, Path("unused"), lambda line: None)
    found = dataset.read(source.fetch())
    assert found.labelled.images.shape == (60_000, 28, 28, 1)
    assert found.test_images.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(found.labelled.images.reshape(60_000, -1), images[:60_000])
    np.testing.assert_array_equal(found.test_images.reshape(10_000, -1), images[60_000:])
    np.testing.assert_array_equal(found.labelled.labels, labels[:60_000])
    np.testing.assert_array_equal(found.test_labels, labels[60_000:])


def test_csv_files_are_read_and_have_no_test_labels(small_digits: Path) -> None:
    source = sources.choose(str(small_digits), 0, Path("unused"), lambda line: None)
    found = dataset.read(source.fetch())
    assert (len(found.labelled.labels), len(found.test_images)) == (600, 200)
    assert found.test_labels is None
    other = dataset.read(sources.choose("mnist", 0, Path("unused"), lambda line: None).fetch())
    assert found.fingerprint != other.fingerprint


def test_nothing_is_submitted_for_mnist() -> None:
    source = sources.choose("mnist", 0, Path("unused"), lambda line: None)
    message = r"SOURCE is mnist, whose test labels are public.* make ensemble trains and prints"
    with pytest.raises(PipelineError, match=message):
        source.check_ready()
    with pytest.raises(PipelineError, match=message):
        source.submit(Path("x.csv"), "message", "token")
    assert source.submissions() == []
