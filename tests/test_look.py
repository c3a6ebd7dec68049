"""All views of a run, on small runs that are trained on real digits."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.evaluation.views import Views
from pipeline.prediction import export
from pipeline.prediction.export import FILES
from pipeline.runs import Run
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.look import VIEWS, LookOptions, look, open_views
from pipeline.stages.request import Request


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("looking")


@pytest.fixture(scope="module")
def runs(root: Path, small_digits: Path) -> list[Run]:
    """Two runs on 600 digits; the first trains three epochs with SGD and another loss."""
    # float32, because the exported network must give the run's probabilities within 1e-6.
    changes = (
        "training.epochs=3 training.optimizer=sgd training.loss=mean_squared_error "
        "prediction.precision=float32"
    )
    finished = []
    for settings in (changes, "training.epochs=2"):
        request = Request(recipe=recipe.load("mlp_50", settings), source=str(small_digits))
        finished.append(ensemble(Context(root, request, lambda line: None)))
    return finished


@pytest.fixture
def views(root: Path, runs: list[Run]) -> Views:
    return open_views(runs[0].id, root=root)


def look_lines(root: Path, options: LookOptions, *names: str) -> list[str]:
    """Run `look` and return the lines that it prints."""
    lines: list[str] = []
    look(Context(root, Request(runs=names), lines.append), options)
    return lines


def test_all_views_of_a_run_are_drawn_and_printed(root: Path, runs: list[Run]) -> None:
    printed = "\n".join(look_lines(root, LookOptions(), runs[0].id))
    assert all(f"-- {name}" in printed for name in VIEWS)
    folder = runs[0].folder / "look"
    pictures = {path.stem for path in folder.glob("*.png")}
    confused = {name for name in pictures if name.startswith("confused-")}
    drawn = {f"{name}-validation" for name in ("digits", "probabilities", "confusion")}
    drawn |= {"random-test", "curves-0"}
    assert len(confused) == 1
    assert pictures == drawn | confused
    assert all(imread(path).std() > 0.05 for path in folder.glob("*.png")), "blank"
    assert {path.name for path in folder.iterdir() if path.suffix != ".png"} == set(FILES)
    assert "(784 + 1) x 50" in printed
    assert "39,760" in printed
    assert "random, test rows" in printed


def test_a_pair_of_digits_is_listed_and_drawn(root: Path, runs: list[Run], views: Views) -> None:
    true, predicted = views.most_confused()
    lines = look_lines(root, LookOptions(true=true, predicted=predicted), runs[0].id)
    stored = runs[0].load_arrays("validation")
    wrong = (stored["labels"] == true) & (stored["probabilities"].argmax(axis=1) == predicted)
    table = views.confused(true, predicted)
    assert list(table["row"]) == list(stored["rows"][wrong])
    np.testing.assert_array_equal(
        table[f"probability of {predicted}"], stored["probabilities"][wrong, predicted]
    )
    assert f"label {true}, predicted as {predicted}: {wrong.sum()} of 60 rows" in lines
    picture = f"confused-{true}-{predicted}-validation.png"
    assert lines[-1] == f"wrote {runs[0].folder / 'look' / picture}"
    counts = views.crosstab().to_numpy()[:10, :10]
    assert wrong.sum() == (counts - np.diag(np.diag(counts))).max()


def test_a_pair_that_does_not_occur_is_reported_and_not_drawn(root: Path, runs: list[Run]) -> None:
    views = open_views(runs[0].id, root=root)
    counts = views.crosstab().to_numpy()[:10, :10]
    true, predicted = (int(digit) for digit in np.argwhere(counts == 0)[0])
    lines = look_lines(root, LookOptions(true=true, predicted=predicted), runs[0].id)
    assert lines[-1] == f"label {true}, predicted as {predicted}: 0 of 60 rows"
    with pytest.raises(
        PipelineError, match=f"predicted no validation row labelled {true} as {predicted};"
    ):
        views.confused_digits(true, predicted)


def test_digits_begin_at_any_row_and_show_their_row_numbers(views: Views) -> None:
    # A number between two validation rows: the view begins at the later row.
    start = int(views.rows.row_ids[49]) + 1
    figure = views.digits(start, count=100)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 10
    rows = views.rows
    assert rows.labels is not None
    for position, axes in enumerate(drawn, start=50):
        assert axes.get_title() == f"{rows.labels[position]}, {rows.predictions[position]}"
        assert axes.get_xlabel() == f"row {rows.row_ids[position]}"
        np.testing.assert_array_equal(axes.images[0].get_array(), rows.images[position, :, :, 0])


def test_rows_belong_to_their_labels_and_images(
    views: Views, small_digits: Path, root: Path
) -> None:
    table = pd.read_csv(small_digits / "train.csv").to_numpy()[views.rows.row_ids]
    np.testing.assert_array_equal(views.rows.labels, table[:, 0])
    np.testing.assert_array_equal(views.rows.images.reshape(60, -1), table[:, 1:])
    test = open_views(views.run.id, "test", root).rows
    pixels = pd.read_csv(small_digits / "test.csv").to_numpy()
    np.testing.assert_array_equal(test.images.reshape(200, -1), pixels)
    assert test.labels is None


def test_the_heading_names_the_rows_that_are_drawn(views: Views) -> None:
    row_ids = views.rows.row_ids
    assert views.digits(int(row_ids[3]), count=2).get_suptitle().splitlines() == [
        f"{views.run.id}, validation rows",
        f"rows {row_ids[3]} to {row_ids[4]}: 2 of 60 digits",
        "above each digit: label, prediction (wrong ones framed)",
    ]
    last = f"rows {row_ids[58]} to {row_ids[59]}: 2 of 60 digits"
    assert last in views.digits(int(row_ids[58])).get_suptitle()


def test_pixels_are_28_lines_of_equal_width(views: Views) -> None:
    title, *lines = views.pixels(int(views.rows.row_ids[7])).split("\n")
    assert title == f"row {views.rows.row_ids[7]}:"
    assert [len(line) for line in lines] == [112] * 28
    values = [[0 if word == "." else int(word) for word in line.split()] for line in lines]
    np.testing.assert_array_equal(values, views.rows.images[7, :, :, 0])
    assert " 0" not in "".join(lines)


def test_confused_refuses_numbers_that_are_no_digits(views: Views) -> None:
    with pytest.raises(PipelineError, match="TRUE is 10; give a digit from 0 to 9"):
        views.confused(10, 0)
    with pytest.raises(PipelineError, match="PREDICTED is -1; give a digit from 0 to 9"):
        views.confused_digits(0, -1)


def test_random_digits_are_the_same_for_the_same_seed(views: Views) -> None:
    figures = [views.random_digits(12, seed) for seed in (4, 4, 5)]
    rows = [[axes.get_xlabel() for axes in figure.axes if axes.images] for figure in figures]
    assert rows[0] == rows[1] != rows[2]
    assert len(set(rows[0])) == 12


def test_curves_name_the_loss_that_was_minimised(root: Path, runs: list[Run]) -> None:
    losses = [open_views(run.id, root=root).curves().axes[0].get_ylabel() for run in runs]
    assert losses == ["loss (mean squared error)", "loss (nats)"]


def test_exported_files_give_the_checkpoints_probabilities(views: Views, tmp_path: Path) -> None:
    whole, architecture, weights = views.export(tmp_path / "exported")
    assert [path.name for path in (whole, architecture, weights)] == list(FILES)
    network = keras.models.model_from_json(architecture.read_text())
    network.load_weights(weights)
    images = views.rows.images / np.float32(255)
    for loaded in (network, keras.saving.load_model(whole)):
        probabilities = np.asarray(loaded(images))
        np.testing.assert_allclose(probabilities, views.rows.probabilities, atol=1e-6)


def test_an_export_with_other_predictions_is_refused_and_leaves_no_files(
    views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        export, "load_parts", lambda *paths: keras.models.model_from_json(paths[0].read_text())
    )
    with pytest.raises(PipelineError, match=r"model.json with model.weights.h5: loaded again"):
        views.export(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_ensemble_of_runs_has_no_network_of_its_own(root: Path, runs: list[Run]) -> None:
    request = Request(runs=tuple(run.id for run in runs))
    both = ensemble(Context(root, request, lambda line: None)).id
    printed = look_lines(root, LookOptions(), both)
    for view in ("curves", "parameters", "model"):
        assert f"-- {view}: none, because the run averages several runs" in printed
        with pytest.raises(PipelineError, match=r"averages .* has no network of its own"):
            look_lines(root, LookOptions(view=view), both)
    assert "-- confusion, validation rows" in printed


def test_rows_without_labels_have_all_views_that_need_none(root: Path, runs: list[Run]) -> None:
    printed = look_lines(root, LookOptions(part="test"), runs[1].id)
    for view in ("confusion", "confused"):
        assert f"-- {view}, test rows: none, because their labels are not known" in printed
    folder = runs[1].folder / "look"
    assert f"wrote {folder / 'digits-test.png'}" in printed
    assert printed[-1].startswith(
        "checked: when loaded, both forms give the probabilities of epoch-002-"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LookOptions(view="picture"), "VIEW is 'picture'; it must be one of digits, random,"),
        (LookOptions(part="train"), "PART is 'train'; it must be validation or test"),
        (LookOptions(true=0), "only TRUE is given; give both digits"),
        (LookOptions(predicted=0), "only PREDICTED is given; give both digits"),
        (
            LookOptions(view="digits", true=0, predicted=6),
            "VIEW is 'digits', which takes no TRUE and PREDICTED; leave",
        ),
        (LookOptions(view="curves", start=3), "VIEW is 'curves', which takes no START; leave out"),
        (LookOptions(view="digits", seed=1), "VIEW is 'digits', which takes no SEED; leave out"),
        (LookOptions(view="model", part="test"), "VIEW is 'model', which takes no PART; leave"),
        (LookOptions(true=5, predicted=3, start=3), "TRUE and PREDICTED take no START; leave"),
        (LookOptions(start=0), "START and COUNT are for one view; name it, as in VIEW=digits"),
        (LookOptions(count=50), "START and COUNT are for one view; name it, as in VIEW=digits"),
        (LookOptions(view="digits", start=600), "START is 600; the validation rows end with row 5"),
        (LookOptions(view="pixels", start=600), "START is 600; the validation rows end with row 5"),
        (
            LookOptions(view="digits", count=401),
            "COUNT is 401; 1 to 400 digits fit in this picture",
        ),
        (LookOptions(view="probabilities", count=31), "COUNT is 31; 1 to 30 digits fit in this"),
        (LookOptions(view="random", count=0), "COUNT is 0; 1 to 400 digits fit in this picture"),
        (
            LookOptions(view="confusion", part="test"),
            "this view needs labels, and the labels of the test rows are not known",
        ),
    ],
)
def test_options_that_cannot_be_shown_give_a_one_line_error(
    root: Path, runs: list[Run], options: LookOptions, message: str
) -> None:
    with pytest.raises(PipelineError) as error:
        look_lines(root, options, runs[0].id)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_look_needs_exactly_one_run(root: Path) -> None:
    for names in ((), ("a", "b")):
        with pytest.raises(PipelineError, match=r"RUN is .*; make look draws one trained run"):
            look_lines(root, LookOptions(), *names)


def test_an_error_names_a_missing_or_truncated_history(
    root: Path, runs: list[Run], tmp_path: Path
) -> None:
    shutil.copytree(root / "runs" / runs[0].id, tmp_path / "runs" / runs[0].id)
    shutil.copytree(root / "data", tmp_path / "data")
    history = tmp_path / "runs" / runs[0].id / "members" / "0" / "history.csv"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(PipelineError, match=r"history.csv cannot be drawn .* kept epochs \[3\]"):
        look_lines(tmp_path, LookOptions(view="curves"), runs[0].id)
    history.unlink()
    with pytest.raises(PipelineError, match=r"history.csv cannot be drawn .*No such file"):
        look_lines(tmp_path, LookOptions(view="curves"), runs[0].id)
