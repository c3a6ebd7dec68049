"""Tables and text contain the numbers that they are given."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.data.digits import Digits
from pipeline.evaluation import scores, tables


@pytest.fixture
def predictions(labelled: Digits) -> NDArray[np.uint8]:
    """Predictions for 800 digits; every seventh is predicted as the next digit."""
    predictions = labelled.labels.copy()
    predictions[::7] = (predictions[::7] + 1) % 10
    return predictions


def test_crosstab_counts_every_pair_and_the_sums(
    labelled: Digits, predictions: NDArray[np.uint8]
) -> None:
    table = tables.crosstab(labelled.labels, predictions)
    assert list(table.index) == list(table.columns) == [*range(10), "all"]
    assert (table.index.name, table.columns.name) == ("true", "predicted")
    counts = scores.confusion(labelled.labels, predictions)
    np.testing.assert_array_equal(table.to_numpy()[:10, :10], counts)
    np.testing.assert_array_equal(table["all"].to_numpy()[:10], counts.sum(axis=1))
    np.testing.assert_array_equal(table.loc["all"].to_numpy()[:10], counts.sum(axis=0))
    assert table.loc["all", "all"] == 800


def test_crosstab_keeps_digits_that_do_not_occur(labelled: Digits) -> None:
    three = labelled.labels[:1]
    table = tables.crosstab(three, three)
    assert table.shape == (11, 11)
    assert table.to_numpy().sum() == 4  # the one digit, its two sums and the total
    assert set(table.dtypes) == {np.dtype(np.int64)}


def test_confused_rows_are_in_order(labelled: Digits, predictions: NDArray[np.uint8]) -> None:
    positions = tables.confused(labelled.labels, predictions, 4, 5)
    pairs = zip(labelled.labels, predictions, strict=True)
    assert positions.tolist() == [row for row, pair in enumerate(pairs) if pair == (4, 5)]
    assert len(positions) > 5
    assert positions.dtype == np.int64
    assert not len(tables.confused(labelled.labels, predictions, 5, 4))


def test_tables_refuse_values_that_are_no_digits(labelled: Digits) -> None:
    labels = labelled.labels
    with pytest.raises(ValueError, match="true is 10; a digit from 0 to 9 is needed"):
        tables.confused(labels, labels, 10, 0)
    with pytest.raises(ValueError, match="predicted is -1; a digit from 0 to 9 is needed"):
        tables.confused(labels, labels, 0, -1)
    with pytest.raises(ValueError, match=r"labels lie in 1\.\.10; 0\.\.9 is needed"):
        tables.crosstab(labels + 1, labels)
    with pytest.raises(ValueError, match="predictions have 799 rows; 800 are needed"):
        tables.crosstab(labels, labels[1:])
    with pytest.raises(ValueError, match="labels have 0 rows; at least 1 are needed"):
        tables.crosstab(labels[:0], labels[:0])
    with pytest.raises(ValueError, match=r"labels are float64 \[800\]; integers \[n\]"):
        tables.confused(labels / 1, labels, 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1)])
def test_pixel_text_has_28_lines_of_equal_width(labelled: Digits, shape: tuple[int, ...]) -> None:
    image = labelled.images[0]
    lines = tables.pixel_text(image.reshape(shape)).split("\n")
    assert [len(line) for line in lines] == [112] * 28
    values = [[0 if word == "." else int(word) for word in line.split()] for line in lines]
    np.testing.assert_array_equal(values, image[:, :, 0])
    assert " 0" not in "".join(lines)


def test_pixel_text_refuses_another_shape_or_type(labelled: Digits) -> None:
    with pytest.raises(ValueError, match=r"the image is uint8 \[2, 28, 28, 1\]"):
        tables.pixel_text(labelled.images[:2])
    with pytest.raises(ValueError, match="the image is float64"):
        tables.pixel_text(labelled.images[0] / 255)
