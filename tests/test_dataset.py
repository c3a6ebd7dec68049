"""The digits of each source, and the sources by name."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions import sources
from pipeline.competitions.kaggle.journal import Journal
from pipeline.competitions.protocol import Source
from pipeline.competitions.sources import MNIST_FOLDER, Origin
from pipeline.data.dataset import DataFiles, open_dataset
from pipeline.data.mnist import read_mnist
from pipeline.recipe import Recipe
from pipeline.stages.context import Context
from pipeline.stages.request import Request
from pipeline.stages.submission import write_submission
from pipeline.stages.submit import submit


def choose(source: str) -> Origin:
    unused = Path("unused")
    return sources.choose(source, 0, unused, Journal(unused), lambda line: None)


def test_mnist_is_split_as_its_authors_do() -> None:
    images, labels = read_mnist(MNIST_FOLDER)
    dataset = open_dataset(choose("mnist").source.fetch())
    assert dataset.labelled.images.shape == (60_000, 28, 28, 1)
    assert dataset.test_images.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(dataset.labelled.images.reshape(60_000, -1), images[:60_000])
    np.testing.assert_array_equal(dataset.test_images.reshape(10_000, -1), images[60_000:])
    np.testing.assert_array_equal(dataset.labelled.labels, labels[:60_000])
    np.testing.assert_array_equal(dataset.test_labels, labels[60_000:])


def test_csv_files_are_read_and_have_no_test_labels(small_digits: Path) -> None:
    dataset = open_dataset(choose(str(small_digits)).source.fetch())
    assert (len(dataset.labelled.labels), len(dataset.test_images)) == (600, 200)
    assert dataset.test_labels is None
    other = open_dataset(choose("mnist").source.fetch())
    assert dataset.fingerprint != other.fingerprint


def test_one_digit_alone_is_refused(small_digits: Path) -> None:
    header, *rows = (small_digits / "train.csv").read_text().splitlines(keepends=True)
    path = small_digits.with_name("ones.csv")
    path.write_text(header + "".join(row for row in rows if row.startswith("1,")))
    dataset = open_dataset(DataFiles(path, small_digits / "test.csv", full_size=False))
    with pytest.raises(PipelineError, match=r"ones.csv: has only the digit 1; at least two diff"):
        _ = dataset.labelled


@pytest.mark.parametrize("source", ["~nobody-here", "a\0b", "x" * 5000, "\x1b[2J\n"])
def test_a_source_that_is_no_folder(source: str) -> None:
    with pytest.raises(PipelineError, match=r"SOURCE is '.* it must be auto, kaggle,") as caught:
        choose(source)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_folder_with_a_file_that_never_ends(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "train.csv")
    with pytest.raises(PipelineError, match=r"train.csv: is a pipe or a device; it must be a file"):
        choose(str(tmp_path))


@pytest.mark.parametrize("stage", [write_submission, submit])
def test_nothing_is_submitted_for_mnist(stage: Callable[[Context], object], tmp_path: Path) -> None:
    context = Context(
        tmp_path, Request(recipe=Recipe(name="quick"), source="mnist"), lambda line: None
    )
    message = r"SOURCE is mnist, whose test labels are public.* make ensemble trains and prints"
    with pytest.raises(PipelineError, match=message):
        stage(context)
    assert not (tmp_path / "runs").exists(), "a run was begun"
    assert context.competition is None


def test_a_folder_has_no_competition(small_digits: Path) -> None:
    origin = choose(str(small_digits))
    assert origin.competition is None
    assert origin.refusal == ""


def test_locations_are_those_that_runs_record(
    small_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_digits.parent)
    names = ("kaggle", "practice", "mnist", small_digits.name)
    sources_by_name: dict[str, Source] = {name: choose(name).source for name in names}
    assert {name: source.location for name, source in sources_by_name.items()} == {
        "kaggle": "kaggle",
        "practice": "practice",
        "mnist": "mnist",
        small_digits.name: str(small_digits.resolve()),
    }
