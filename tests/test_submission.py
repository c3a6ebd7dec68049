"""The file that is submitted: written exactly, and refused by its first fault."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions import submission
from pipeline.competitions.sources import upload_by_hand
from pipeline.data.spec import SPEC

LABELS = np.array([7, 2, 1, 0, 4], dtype=np.int64)


def test_the_file_is_kaggles_format_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.csv"
    submission.write(path, LABELS)
    assert path.read_bytes() == b"ImageId,Label\n1,7\n2,2\n3,1\n4,0\n5,4\n"
    read = submission.check(path, rows=5)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, LABELS)


def test_a_whole_submission_has_28000_rows(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    labels = np.arange(28_000) % 10
    submission.write(path, labels)
    np.testing.assert_array_equal(submission.check(path), labels)
    submission.write(path, labels[:-1])
    with pytest.raises(PipelineError, match=r"run.csv: has 27,999 rows; 28,000 are needed"):
        submission.check(path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([1, 10]), "a label is 10; 0 to 9 are allowed"),
        (np.array([-1, 3]), "a label is -1; 0 to 9 are allowed"),
        (np.array([1.0, 2.0]), r"labels are float64 \[2\]; integers \[n\] are needed"),
        (np.eye(10, dtype=int), r"labels are int64 \[10, 10\]; integers"),
    ],
)
def test_wrong_labels_are_not_written(labels: np.ndarray, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("the old submission")
    with pytest.raises(PipelineError, match=f"run.csv: {message}"):
        submission.write(path, labels)
    assert path.read_text() == "the old submission"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "run.csv: the file is empty"),
        ("Label,ImageId\n7,1\n", "line 1: column 1 is 'Label' where 'ImageId' belongs"),
        ("ImageId,label\n1,7\n", "line 1: column 2 is 'label' where 'Label' belongs"),
        ("ImageId,Label,Score\n1,7,1\n", r"line 1: column 3 is 'Score' where '\(none\)' belongs"),
        ("1,7\n2,2\n3,1\n", "line 1: column 1 is '1' where 'ImageId' belongs"),
        ("ImageId,Label\n1,7\n2,2\n", "run.csv: has 2 rows; 3 are needed"),
        ("ImageId,Label\n1,7\n2,2\n3,1\n4,0\n", "run.csv: has 4 rows; 3 are needed"),
        (
            "ImageId,Label\n0,7\n1,2\n2,1\n",
            "line 2, column 'ImageId': is 0 where 1 belongs; number",
        ),
        (
            "ImageId,Label\n1,7\n3,2\n2,1\n",
            "line 3, column 'ImageId': is 3 where 2 belongs; number",
        ),
        ("ImageId,Label\n1,7\n2,2\n2,1\n", "line 4, column 'ImageId': is 2 where 3 belongs"),
        ("ImageId,Label\n1,7\n2,2.0\n3,1\n", "line 3, column 'Label': is '2.0', not a whole"),
        ("ImageId,Label\n1,7\n2,\n3,1\n", "line 3, column 'Label': is empty"),
        ("ImageId,Label\n1,7\n2,2\n3,10\n", "line 4, column 'Label': is 10; a whole number from 0"),
        ("ImageId,Label\n1,7\n2\n3,1\n", "line 3: has 1 cells, 2 are needed"),
        ("ImageId,Label\n1,7\n\n2,2\n3,1\n", "line 3: is empty; remove the line"),
    ],
)
def test_a_wrong_file_is_refused_by_its_first_fault(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.csv"
    path.write_text(text)
    with pytest.raises(PipelineError, match=message):
        submission.check(path, rows=3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"run.csv: no such file"):
        submission.check(tmp_path / "run.csv")


def test_a_whole_csv_comes_with_the_address_to_upload_it(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    submission.write(path, np.zeros(SPEC.test_rows, dtype=int))
    advice = upload_by_hand(path)
    assert f"upload {path} at https://www.kaggle.com/competitions/digit-recognizer/" in advice
