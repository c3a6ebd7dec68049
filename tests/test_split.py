"""The hold-out: scikit-learn's rows, saved for the data they belong to; and the leak check."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from pipeline.common.errors import PipelineError
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data.digits import Digits
from pipeline.data.mnist import read_mnist
from pipeline.data.split import DUPLICATE_COLUMNS, Split, exact_duplicates, hold_out

DATA = "d" * 64


@pytest.fixture
def split(labelled: Digits) -> Split:
    return hold_out(labelled.labels, 0.15, 3, DATA)


def test_rows_are_stratified_and_none_is_lost(split: Split, labelled: Digits) -> None:
    assert split.train_rows.dtype == split.validation_rows.dtype == np.int64
    assert len(split.validation_rows) == 120
    both = np.concatenate([split.train_rows, split.validation_rows])
    np.testing.assert_array_equal(np.sort(both), np.arange(800))
    for rows in (split.train_rows, split.validation_rows):
        assert (np.diff(rows) > 0).all()
    expected = 0.15 * np.bincount(labelled.labels, minlength=10)
    counts = np.bincount(labelled.labels[split.validation_rows], minlength=10)
    assert (np.abs(counts - expected) < 1).all()


def test_rows_are_those_of_train_test_split(split: Split, labelled: Digits) -> None:
    train, validation = train_test_split(
        np.arange(800), test_size=0.15, random_state=3, stratify=labelled.labels
    )
    assert set(split.train_rows) == set(train)
    assert set(split.validation_rows) == set(validation)


def test_fingerprint_follows_rows_and_data_alone(split: Split, labelled: Digits) -> None:
    assert hold_out(labelled.labels, 0.15, 3, DATA).fingerprint == split.fingerprint
    others = [
        hold_out(labelled.labels, 0.15, 4, DATA),
        hold_out(labelled.labels, 0.2, 3, DATA),
        hold_out(labelled.labels, 0.15, 3, "e" * 64),
        replace(split, train_rows=split.validation_rows, validation_rows=split.train_rows),
        # The same numbers in the same order, but divided one row later.
        replace(
            split,
            train_rows=np.append(split.train_rows, split.validation_rows[0]),
            validation_rows=split.validation_rows[1:],
        ),
    ]
    assert len({split.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_a_saved_split_is_read_back_whole(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "splits" / "one.npz"
    split.save(path)
    loaded = Split.load(path, DATA)
    assert loaded.fingerprint == split.fingerprint
    assert (loaded.fraction, loaded.seed) == (0.15, 3)
    np.testing.assert_array_equal(loaded.train_rows, split.train_rows)
    assert [file.name for file in path.parent.iterdir()] == ["one.npz"]


def test_a_split_of_other_data_is_refused(split: Split, tmp_path: Path) -> None:
    split.save(tmp_path / "one.npz")
    message = "one.npz: was made for the data dddddddddddd, the data here is eeeeeeeeeeee; delete"
    with pytest.raises(PipelineError, match=message):
        Split.load(tmp_path / "one.npz", "e" * 64)
    with pytest.raises(PipelineError, match=r"two.npz: no such file; make the split first"):
        Split.load(tmp_path / "two.npz", DATA)


def test_a_damaged_split_is_refused(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    split.save(path)
    whole = path.read_bytes()
    with np.load(path) as saved:
        arrays = dict(saved)
    arrays["train_rows"] = arrays["train_rows"][1:]
    np.savez(tmp_path / "cut.npz", **arrays)
    tampered = (tmp_path / "cut.npz").read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not a split", tampered):
        path.write_bytes(content)
        with pytest.raises(PipelineError, match=r"one.npz: is not a whole split file; delete it"):
            Split.load(path, DATA)


def test_settings_that_cannot_be_met_are_refused(labelled: Digits) -> None:
    with pytest.raises(PipelineError, match=r"0.001 of 800 rows cannot put each of 10 labels"):
        hold_out(labelled.labels, 0.001, 0, DATA)
    lonely = np.append(labelled.labels[labelled.labels != 7], np.uint8(7))
    with pytest.raises(PipelineError, match=r"train.csv: label 7 has 1 row; a label needs 2"):
        hold_out(lonely, 0.15, 0, DATA)


def test_planted_copies_are_found_and_nothing_else(labelled: Digits) -> None:
    train = Digits(labelled.images[:300].copy(), labelled.labels[:300].copy())
    test = labelled.images[300:400].copy()
    train.images[20] = train.images[10]
    train.images[30] = train.images[10]
    train.labels[30] = (train.labels[10] + 1) % 10
    test[5] = train.images[10]
    test[7] = test[6]
    table = exact_duplicates(train, test)
    first, other = int(train.labels[10]), int(train.labels[20])
    assert list(table.columns) == list(DUPLICATE_COLUMNS)
    assert table.iloc[:2].to_numpy().tolist() == [
        ["train", 10, 20, first, other],
        ["train", 10, 30, first, (first + 1) % 10],
    ]
    assert table.iloc[2, :4].tolist() == ["test", 10, 5, first]
    assert table.iloc[2, 4] is pd.NA
    assert len(table) == 3


def test_one_pixel_makes_another_image(labelled: Digits) -> None:
    almost = labelled.images[:1].copy()
    almost[0, 0, 0, 0] += 1
    assert exact_duplicates(labelled, almost).empty


def test_mnist_holds_no_image_twice() -> None:
    images, labels = read_mnist(MNIST_FOLDER)
    train = Digits(images[:42_000].reshape(-1, 28, 28, 1), labels[:42_000])
    assert exact_duplicates(train, images[42_000:].reshape(-1, 28, 28, 1)).empty
