"""What the competition fixes: its names, its files, and the shape of its digits."""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class CompetitionSpec:
    """Everything about Kaggle's digit-recognizer that no setting changes.

    Source: https://www.kaggle.com/competitions/digit-recognizer/data and its Evaluation page.

    Counts of rows leave out the header. `public_rows` of the test rows count for the public score.
    `side` is the height and the width of an image in pixels. Pixels are whole numbers from 0
    (paper) to `highest_pixel` (ink), labels from 0 to `classes` - 1. `submission_columns` are the
    columns of a submission: the row's id and its label. `first_id` is the id of the first row of
    `test_file`. `metric` is the name of the score.
    """

    slug: str = "digit-recognizer"
    url: str = "https://www.kaggle.com/competitions/digit-recognizer"
    archive: str = "digit-recognizer.zip"
    train_file: str = "train.csv"
    test_file: str = "test.csv"
    sample_file: str = "sample_submission.csv"
    train_rows: int = 42_000
    test_rows: int = 28_000
    public_rows: int = 7_000
    label_column: str = "label"
    pixel_prefix: str = "pixel"
    side: int = 28
    highest_pixel: int = 255
    classes: int = 10
    submission_columns: tuple[str, str] = ("ImageId", "Label")
    first_id: int = 1
    metric: str = "accuracy"

    @property
    def data_files(self) -> tuple[str, str]:
        """The files with the digits: to train on and to predict."""
        return (self.train_file, self.test_file)

    @property
    def last_label(self) -> int:
        """The highest label."""
        return self.classes - 1

    @property
    def pixels(self) -> int:
        """The number of pixels of an image."""
        return self.side * self.side

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of an image: height, width, one channel."""
        return (self.side, self.side, 1)

    @cached_property
    def test_columns(self) -> tuple[str, ...]:
        """The columns of `test_file`: the pixels, row by row."""
        return tuple(f"{self.pixel_prefix}{number}" for number in range(self.pixels))

    @cached_property
    def train_columns(self) -> tuple[str, ...]:
        """The columns of `train_file`: the label, then the pixels."""
        return (self.label_column, *self.test_columns)


SPEC = CompetitionSpec()
"""The one competition that this pipeline is for."""
