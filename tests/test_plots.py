"""The plots of a run show the numbers that they are given, and nothing is cut off."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from pipeline.data.digits import Digits
from pipeline.evaluation import plots, scores

RUN = "20260102-030405-bn_cnn-0a1b2c"


@pytest.fixture
def predictions(labelled: Digits) -> NDArray[np.uint8]:
    """Predictions for 800 digits; the first 30 are predicted as the next digit."""
    predictions = labelled.labels.copy()
    predictions[:30] = (predictions[:30] + 1) % 10
    return predictions


def history(epochs: int) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "loss": 0.4 / epoch,
            "accuracy": 1 - 0.13 / epoch,
            "val_loss": 0.06 / epoch,
            "val_accuracy": 1 - 0.02 / epoch,
            "learning_rate": 1e-3 * 0.5 ** (epoch // 3),
        }
    )


def check_nothing_is_cut_off(figure: Figure) -> None:
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 >= 0, "cut off on the left"
    assert box.y0 >= 0, "cut off at the bottom"
    assert box.x1 <= width, "cut off on the right"
    assert box.y1 <= height, "cut off at the top"


def test_heatmap_shows_every_count_and_the_interval(
    labelled: Digits, predictions: NDArray[np.uint8]
) -> None:
    figure = plots.confusion_heatmap(labelled.labels, predictions, RUN)
    counts = scores.crosstab(labelled.labels, predictions).to_numpy()[:10, :10]
    cells = {
        (int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text())
        for text in figure.axes[0].texts
        if text.get_text()
    }
    expected = {(row, column): counts[row, column] for row, column in np.argwhere(counts)}
    assert cells == expected
    assert figure.axes[0].get_title() == (
        f"{RUN}\naccuracy 96.25 % (95 % interval 94.70 to 97.36 %), 30 errors, n = 800"
    )
    assert figure.axes[0].get_ylabel() == "true label"
    assert figure.axes[1].get_ylabel() == "errors"
    assert figure.axes[0].collections[1].get_clim() == (0, counts[~np.eye(10, dtype=bool)].max())
    check_nothing_is_cut_off(figure)


def test_heatmap_without_an_error_is_drawn(labelled: Digits) -> None:
    figure = plots.confusion_heatmap(labelled.labels, labelled.labels, RUN)
    title = figure.axes[0].get_title()
    assert "accuracy 100.00 % (95 % interval 99.52 to 100.00 %), 0 errors, n = 800" in title
    check_nothing_is_cut_off(figure)


def test_curves_show_the_history_and_the_kept_epochs() -> None:
    table = history(12)
    figure = plots.learning_curves(table, [7, 11], RUN)
    loss, accuracy, rate = figure.axes
    training, validation, kept = loss.lines
    np.testing.assert_array_equal(training.get_xydata(), table[["epoch", "loss"]])
    np.testing.assert_array_equal(validation.get_xydata(), table[["epoch", "val_loss"]])
    np.testing.assert_array_equal(kept.get_xdata(), [7, 11])
    errors = np.asarray(accuracy.lines[1].get_ydata())
    np.testing.assert_allclose(errors, 1 - table["val_accuracy"].to_numpy())
    np.testing.assert_array_equal(accuracy.lines[2].get_xdata(), [7, 11])
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), table["learning_rate"])
    assert rate.get_yscale() == "log"
    assert figure.get_suptitle() == RUN
    names = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert names == [
        ("epoch", "loss (nats)"),
        ("epoch", "accuracy (%)"),
        ("epoch", "learning rate"),
    ]
    legend = loss.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "training",
        "validation",
        "kept checkpoint",
    ]
    check_nothing_is_cut_off(figure)
    ticks = [tick.get_text() for tick in accuracy.get_yticklabels()]
    assert {"99.5", "99", "98", "95", "90"} <= set(ticks)
    low, high = accuracy.get_ylim()
    assert low > high, "better accuracies belong on top"


def test_curves_of_one_perfect_epoch_are_drawn() -> None:
    table = history(1).assign(accuracy=1.0, val_accuracy=1.0, val_loss=0.0)
    table["learning_rate"] = 0.0
    figure = plots.learning_curves(table, [1], loss_unit="mean squared error")
    assert figure.axes[0].get_ylabel() == "loss (mean squared error)"
    assert figure.axes[0].lines[1].get_ydata() == [1e-7]
    assert figure.axes[1].lines[0].get_ydata() == [1e-4]
    assert figure.axes[2].lines[0].get_ydata() == [1e-15]
    check_nothing_is_cut_off(figure)


def shown_ticks(axis: Axis) -> list[str]:
    low, high = sorted(axis.get_view_interval())
    ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [label.get_text() for place, label in ticks if low <= place <= high]


@pytest.mark.parametrize("epochs", [1, 2, 8, 50, 200])
@pytest.mark.parametrize("factor", [1e-4, 1.0, 1e15])
def test_all_ticks_are_plain_numbers_and_few(epochs: int, factor: float) -> None:
    table = history(epochs)
    table["val_loss"] *= factor
    figure = plots.learning_curves(table, [epochs], f"{RUN}, member 1 of 10")
    check_nothing_is_cut_off(figure)
    for axes in figure.axes:
        labels = shown_ticks(axes.yaxis)
        assert 2 <= len(labels) <= 12
        assert len({float(label) for label in labels}) == len(labels)
        assert all(len(label) <= 7 for label in labels)
        assert all(1 <= int(label) <= epochs for label in shown_ticks(axes.xaxis))
        assert not axes.yaxis.get_minorticklocs().size


def test_the_learning_rates_scale_ends_a_thousandth_below_the_highest() -> None:
    table = history(3).assign(learning_rate=[1e-2, 5e-3, 3e-8])
    figure = plots.learning_curves(table, [3])
    rate = figure.axes[2]
    assert list(np.asarray(rate.lines[0].get_ydata())) == pytest.approx([1e-2, 5e-3, 1e-5])
    plots.png(figure)
    assert shown_ticks(rate.yaxis)[-4:] == ["0.001", "0.002", "0.005", "0.01"]


def test_an_incomplete_history_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['val_loss'\]"):
        plots.learning_curves(history(3).drop(columns="val_loss"), [1])
    with pytest.raises(ValueError, match=r"kept epochs \[4\]"):
        plots.learning_curves(history(3), [1, 4])
    with pytest.raises(ValueError, match="history has 0 rows"):
        plots.learning_curves(history(3)[:0], [])


def test_a_saved_picture_is_a_complete_png_of_the_figures_size(
    labelled: Digits, tmp_path: Path
) -> None:
    path = tmp_path / "pictures" / "heatmap.png"
    plots.save(plots.confusion_heatmap(labelled.labels, labelled.labels, RUN), path)
    assert imread(path).shape[:2] == (7 * 150, 8 * 150)
    assert list(path.parent.iterdir()) == [path]
    assert plt.get_fignums() == []


def test_intervals_are_drawn_in_percent_one_per_line() -> None:
    names, accuracies = ["best", "other"], [0.995, 0.99]
    intervals = [(0.993, 0.9965), (0.987, 0.992)]
    figure = plots.accuracy_intervals(names, accuracies, intervals)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    for line, (bars, share, ends) in enumerate(
        zip(axes.containers, accuracies, intervals, strict=True)
    ):
        point, _, (spread,) = bars
        assert (point.get_xdata()[0], point.get_ydata()[0]) == (100 * share, line)
        drawn = spread.get_segments()[0][:, 0]
        np.testing.assert_allclose(drawn, 100 * np.array(ends))
    check_nothing_is_cut_off(figure)


@pytest.mark.parametrize(
    ("names", "intervals", "message"),
    [
        (["a", "b"], [(0.98, 1.0)], r"zip\(\) argument 2 is shorter than argument 1"),
        (["a"], [(0.9, 0.98)], "must not contain negative values"),
    ],
)
def test_intervals_that_do_not_match_are_refused(
    names: list[str], intervals: list[tuple[float, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plots.accuracy_intervals(names, [0.99] * len(names), intervals)
