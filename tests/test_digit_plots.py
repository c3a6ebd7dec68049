"""The plots of digits: each digit has its own caption, and everything can be read."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from pipeline.data.digits import Digits
from pipeline.evaluation import plots
from tests.test_plots import check_nothing_is_cut_off

BLUE, VERMILION = "#0072b2", "#d55e00"
LONG = "20260102-030405-bn_cnn-0a1b2c: rows of the validation part, which no network trained on"


@pytest.fixture
def probabilities(labelled: Digits) -> NDArray[np.float32]:
    """Probabilities of 800 digits; the first 30 are wrong, with increasing certainty."""
    probabilities = np.full((800, 10), 0.01, dtype=np.float32)
    probabilities[np.arange(800), labelled.labels] = 0.91
    rows = np.arange(30)
    probabilities[rows] = 0.01
    probabilities[rows, (labelled.labels[rows] + 1) % 10] = 0.5 + rows / 100
    probabilities[rows, labelled.labels[rows]] = 0.42 - rows / 100
    return probabilities


@pytest.fixture
def predictions(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def digits(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def bar_charts(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.containers]


def check_legible(figure: Figure) -> None:
    """Check that nothing is cut off or covered, and that digits and text are large enough.

    Digits must be an inch wide, text must have 8 points.
    """
    check_nothing_is_cut_off(figure)
    for axes in digits(figure):
        assert min(axes.get_window_extent().size) >= 0.99 * figure.dpi
    visible = [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text()
    ]
    assert min(float(text.get_fontsize()) for text in visible) >= 8
    boxes = [(text.get_text(), text.get_window_extent()) for text in visible]
    for (text, box), (other_text, other_box) in combinations(boxes, 2):
        assert not box.overlaps(other_box), f"{text!r} covers {other_text!r}"


def highlighted(axes: Axes) -> bool:
    """Return whether a digit is marked as wrong, by all three of colour, weight and frame."""
    title = axes.title
    marks = {
        to_hex(title.get_color()) == VERMILION,
        title.get_fontweight() == "bold",
        axes.spines["left"].get_visible(),
    }
    assert len(marks) == 1
    return marks.pop()


@pytest.mark.parametrize(("start", "count"), [(29, 1), (20, 25), (0, 100)])
def test_a_grid_shows_each_row_with_label_and_prediction(
    labelled: Digits, predictions: NDArray[np.int64], start: int, count: int
) -> None:
    rows = np.arange(start, start + count)
    figure = plots.digit_grid(
        labelled.images[rows], labelled.labels[rows], predictions[rows], rows, LONG
    )
    assert len(digits(figure)) == count
    for row, axes in enumerate(digits(figure), start=start):
        assert axes.get_title() == f"{labelled.labels[row]}, {predictions[row]}"
        assert axes.get_xlabel() == f"row {row}"
        np.testing.assert_array_equal(axes.images[0].get_array(), labelled.images[row, :, :, 0])
        assert highlighted(axes) == (row < 30)
    assert figure.get_suptitle().replace("\n", " ") == (
        f"{LONG} above each digit: label, prediction (wrong ones framed)"
    )
    check_legible(figure)


def test_a_grid_shows_only_what_is_known(labelled: Digits, predictions: NDArray[np.int64]) -> None:
    images, labels, rows = labelled.images[3:29], labelled.labels[3:29], np.arange(3, 29)
    by_label = plots.digit_grid(images[:2], labels[:2], None, rows[:2])
    assert [axes.get_title() for axes in digits(by_label)] == [f"{labels[0]}", f"{labels[1]}"]
    assert by_label.get_suptitle() == "above each digit: label"
    unlabelled = plots.digit_grid(images, None, predictions[3:29], rows, "26 digits")
    assert [axes.get_title() for axes in digits(unlabelled)] == [
        f"predicted as {prediction}" for prediction in predictions[3:29]
    ]
    assert unlabelled.get_suptitle() == "26 digits"
    unpredicted = plots.digit_grid(images[:2], None, None, rows[:2])
    assert [axes.get_title() for axes in digits(unpredicted)] == ["", ""]
    assert unpredicted.get_suptitle() == ""
    for figure in (by_label, unlabelled, unpredicted):
        assert not any(highlighted(axes) for axes in digits(figure))
        check_legible(figure)


def test_a_grid_refuses_too_many_digits_and_wrong_arrays(labelled: Digits) -> None:
    images, labels, rows = labelled.images, labelled.labels, np.arange(800)
    with pytest.raises(ValueError, match="401 digits are given; 1 to 400 are needed"):
        plots.digit_grid(images[:401], labels[:401], None, rows[:401])
    with pytest.raises(ValueError, match="0 digits are given; 1 to 400 are needed"):
        plots.digit_grid(images[:0], labels[:0], None, rows[:0])
    images, labels, rows = images[:5], labels[:5], rows[:5]
    with pytest.raises(ValueError, match=r"predictions are uint8 \[4\]; integer \[5\] is needed"):
        plots.digit_grid(images, labels, labels[1:], rows)
    with pytest.raises(ValueError, match=r"labels lie in \d\.\.10; 0\.\.9 is needed"):
        plots.digit_grid(images, labels + (10 - labels.max()), None, rows)
    with pytest.raises(ValueError, match="images are float64"):
        plots.digit_grid(images / 255, labels, None, rows)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="row ids are float64"):
        plots.digit_grid(images, labels, None, rows / 1)  # type: ignore[arg-type]


def test_chosen_digits_keep_their_order_and_row_numbers(
    labelled: Digits, predictions: NDArray[np.int64]
) -> None:
    chosen = np.array([40, 7, 512])
    figure = plots.digit_grid(
        labelled.images[chosen],
        labelled.labels[chosen],
        predictions[chosen],
        chosen + 41_000,
        heading="three digits",
    )
    assert [axes.get_xlabel() for axes in digits(figure)] == ["row 41040", "row 41007", "row 41512"]
    for row, axes in zip(chosen, digits(figure), strict=True):
        assert axes.get_title() == f"{labelled.labels[row]}, {predictions[row]}"
        np.testing.assert_array_equal(axes.images[0].get_array(), labelled.images[row, :, :, 0])
    assert [highlighted(axes) for axes in digits(figure)] == [False, True, False]
    assert figure.get_suptitle().startswith("three digits\n")
    check_legible(figure)


def test_the_most_certain_mistakes_come_first(
    labelled: Digits, probabilities: NDArray[np.float32]
) -> None:
    rows = np.arange(800) + 5000
    figure = plots.worst_mistakes(
        labelled.images, labelled.labels, probabilities, rows, title="a-run, validation rows"
    )
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 25
    for position, axes in enumerate(drawn):
        row = 29 - position
        label = labelled.labels[row]
        assert axes.get_title() == (
            f"row {5000 + row}: label {label}\npredicted as {(label + 1) % 10} ({50 + row}.0 %)"
        )
        np.testing.assert_array_equal(axes.images[0].get_array(), labelled.images[row, :, :, 0])
    assert figure.get_suptitle() == (
        "a-run, validation rows\n25 of 30 mistakes in 800 images, most certain first"
    )
    check_nothing_is_cut_off(figure)


def test_few_or_no_mistakes_are_drawn(labelled: Digits, probabilities: NDArray[np.float32]) -> None:
    rows = np.arange(800)
    few = plots.worst_mistakes(labelled.images, labelled.labels, probabilities, rows, count=7)
    assert sum(bool(axes.images) for axes in few.axes) == 7
    check_nothing_is_cut_off(few)
    right = np.eye(10, dtype=np.float32)[labelled.labels]
    none = plots.worst_mistakes(labelled.images, labelled.labels, right, rows, title="a-run")
    assert texts(none) == ["a-run", "no mistakes in 800 images"]
    check_nothing_is_cut_off(none)


def test_arrays_of_unequal_length_are_refused(
    labelled: Digits, probabilities: NDArray[np.float32]
) -> None:
    with pytest.raises(
        ValueError, match=r"are float32 \[799, 10\]; floating \[800, 10\] is needed"
    ):
        plots.worst_mistakes(
            labelled.images, labelled.labels, probabilities[:-1], np.arange(800), count=1
        )


@pytest.mark.parametrize("count", [1, 12])
def test_bars_show_the_probabilities_and_wrong_predictions(
    labelled: Digits, probabilities: NDArray[np.float32], count: int
) -> None:
    chosen = np.arange(29, 29 + count)  # the first is a mistake, the others are right
    figure = plots.probability_bars(
        labelled.images[chosen],
        probabilities[chosen],
        labelled.labels[chosen],
        chosen + 41_000,
        heading=LONG,
    )
    assert len(digits(figure)) == len(bar_charts(figure)) == count
    for row, image, chart in zip(chosen, digits(figure), bar_charts(figure), strict=True):
        np.testing.assert_array_equal(image.images[0].get_array(), labelled.images[row, :, :, 0])
        bars = [bar for bar in chart.patches if isinstance(bar, Rectangle)]
        np.testing.assert_array_equal([bar.get_height() for bar in bars], probabilities[row])
        label = labelled.labels[row]
        wrong = (label + 1) % 10 if row == 29 else None
        special = {label: BLUE} | ({wrong: VERMILION} if row == 29 else {})
        for digit, bar in enumerate(bars):
            assert to_hex(bar.get_facecolor()) == special.get(digit, "#a6a6a6")
            assert bool(bar.get_hatch()) == (digit == wrong)
        assert [tick.get_text() for tick in chart.get_xticklabels()] == list("0123456789")
        assert chart.get_ylim() == (0, 1)
        prediction = f"{wrong} (79.0 %)" if row == 29 else f"{label} (91.0 %)"
        title = f"row {41_000 + row}: label {label}, predicted as {prediction}"
        assert title in texts(figure)
    (legend,) = figure.legends
    explained = [text.get_text() for text in legend.get_texts()]
    assert explained == ["label", "wrong prediction", "other digits"]
    check_legible(figure)


def test_bars_without_labels_mark_the_prediction(
    labelled: Digits, probabilities: NDArray[np.float32]
) -> None:
    figure = plots.probability_bars(
        labelled.images[28:32], probabilities[28:32], None, np.arange(28, 32)
    )
    for row, chart in enumerate(bar_charts(figure), start=28):
        prediction = probabilities[row].argmax()
        colours = [to_hex(bar.get_facecolor()) for bar in chart.patches]
        assert colours[prediction] == "#1a1a1a"
        assert colours.count("#a6a6a6") == 9
        share = 100 * probabilities[row, prediction]
        assert f"row {row}: predicted as {prediction} ({share:.1f} %)" in texts(figure)
    (legend,) = figure.legends
    explained = [text.get_text() for text in legend.get_texts()]
    assert explained == ["prediction (label unknown)", "other digits"]
    check_legible(figure)


def test_bars_refuse_too_many_digits_and_wrong_arrays(
    labelled: Digits, probabilities: NDArray[np.float32]
) -> None:
    images, labels, rows = labelled.images, labelled.labels, np.arange(800)
    with pytest.raises(ValueError, match="31 digits are given; 1 to 30 are needed"):
        plots.probability_bars(images[:31], probabilities[:31], labels[:31], rows[:31])
    with pytest.raises(ValueError, match="0 digits are given; 1 to 30 are needed"):
        plots.probability_bars(images[:0], probabilities[:0], labels[:0], rows[:0])
    with pytest.raises(ValueError, match=r"are float32 \[2, 9\]; floating \[2, 10\] is needed"):
        plots.probability_bars(images[:2], probabilities[:2, :9], labels[:2], rows[:2])
    with pytest.raises(ValueError, match="must be 0 or more, in rows that sum to 1"):
        plots.probability_bars(images[:2], np.log(probabilities[:2]), labels[:2], rows[:2])
    with pytest.raises(ValueError, match=r"row ids are int64 \[3\]; integer \[2\] is needed"):
        plots.probability_bars(images[:2], probabilities[:2], labels[:2], rows[:3])
