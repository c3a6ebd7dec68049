"""The views of one run: each method returns a Figure, a table or text.

`make look` saves and prints them (stages/look.py); a notebook displays them as they are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.common.startup import quiet_start
from pipeline.evaluation import plots, tables
from pipeline.evaluation.pictures import member_curves
from pipeline.runs import Run


@dataclass(frozen=True, eq=False)
class PredictedRows:
    """Rows that a run has predicted.

    `name` is "validation" or "test". `images` is uint8 [n, 28, 28, 1]. `row_ids` is integers [n],
    the row numbers in the source's file, ascending. `labels` is integers [n] in 0..9, or None if
    the source does not publish them. `probabilities` is float32 [n, 10].
    """

    name: str
    images: NDArray[np.uint8]
    row_ids: NDArray[np.int64]
    labels: NDArray[np.uint8] | None
    probabilities: NDArray[np.float32]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The most probable digit of every row, int64 [n] in 0..9."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


class Views:
    """The views of a run on some of the rows that it has predicted.

    `start` is a row number as the pictures and lists print it; a view begins at the first of its
    rows with that number or a higher one. All methods raise PipelineError for a row or count out
    of range, for rows without labels where labels are needed, and for a run without a network of
    its own where one is needed. `parameters` and `export` load the run's first checkpoint, which
    is the best one kept. Only they import TensorFlow, which takes seconds.
    """

    def __init__(self, run: Run, rows: PredictedRows) -> None:
        self.run = run
        self.rows = rows

    def digits(self, start: int = 0, count: int = 25) -> Figure:
        """Draw `count` digits from row `start` on, each titled "label, prediction"."""
        _check_count(count, plots.MOST_DIGITS)
        rows = self.rows
        return plots.digit_grid(
            rows.images,
            rows.labels,
            rows.predictions,
            self._position(start),
            count,
            row_ids=rows.row_ids,
            heading=self._heading,
        )

    def random_digits(self, count: int = 25, seed: int = 0) -> Figure:
        """Draw `count` random digits; the same `seed` gives the same digits."""
        _check_count(count, plots.MOST_DIGITS)
        total = len(self.rows.images)
        chosen = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
        return self._draw_rows(chosen, f"{self._heading}\n{len(chosen)} at random, seed {seed}")

    def probabilities(self, start: int = 0, count: int = 9) -> Figure:
        """Draw `count` digits from row `start` on, each beside bars of its ten probabilities."""
        _check_count(count, plots.MOST_BARS)
        rows, position = self.rows, self._position(start)
        chosen = slice(position, position + count)
        return plots.probability_bars(
            rows.images[chosen],
            rows.probabilities[chosen],
            None if rows.labels is None else rows.labels[chosen],
            rows.row_ids[chosen],
            heading=self._heading,
        )

    def curves(self, member: int = 0) -> Figure:
        """Draw a member's training and validation accuracy and loss, and its learning rate.

        `member` is the member's index, from 0.
        """
        return member_curves(self.run, member)

    def confusion(self) -> Figure:
        """Draw the confusion table as a seaborn heatmap."""
        return plots.confusion_heatmap(self._labels, self.rows.predictions, self._heading)

    def crosstab(self) -> pd.DataFrame:
        """Return the confusion table: true labels in rows, predictions in columns."""
        return tables.crosstab(self._labels, self.rows.predictions)

    def confused(self, true: int, predicted: int) -> pd.DataFrame:
        """List the rows labelled `true` and predicted as `predicted`, with both probabilities."""
        positions = self._confused(true, predicted)
        probabilities = self.rows.probabilities[positions]
        return pd.DataFrame(
            {
                "row": self.rows.row_ids[positions],
                f"probability of {true}": probabilities[:, true],
                f"probability of {predicted}": probabilities[:, predicted],
            }
        )

    def confused_digits(self, true: int, predicted: int, count: int = 25) -> Figure:
        """Draw the first `count` rows labelled `true` and predicted as `predicted`.

        Raises PipelineError if there is no such row.
        """
        _check_count(count, plots.MOST_DIGITS)
        positions = self._confused(true, predicted)
        if not len(positions):
            raise PipelineError(
                f"run {self.run.id} predicted no {self.rows.name} row labelled {true} as "
                f"{predicted}; the confusion table shows which pairs occur"
            )
        rows = f"label {true}, predicted as {predicted}: {len(positions):,} rows"
        return self._draw_rows(positions[:count], f"{self._heading}\n{rows}")

    def most_confused(self) -> tuple[int, int]:
        """Return the label and the wrong prediction that occur together most often."""
        counts = self.crosstab().to_numpy()[:-1, :-1]  # without the sums
        np.fill_diagonal(counts, -1)
        true, predicted = np.unravel_index(counts.argmax(), counts.shape)
        return int(true), int(predicted)

    def pixels(self, start: int = 0) -> str:
        """Return one digit's row number and grey values as text, in 29 lines."""
        position = self._position(start)
        row = self.rows.row_ids[position]
        return f"row {row}:\n{tables.pixel_text(self.rows.images[position])}"

    def parameters(self) -> str:
        """Return the network's layers as text, each with its parameter count and formula."""
        with quiet_start():
            from pipeline.networks.layer_table import as_text, layer_table
            from pipeline.prediction.predictor import load_checkpoint, register_own_layers

        register_own_layers(self.run)
        return as_text(layer_table(load_checkpoint(self.checkpoint)))

    def export(self, folder: Path) -> list[Path]:
        """Write the network to `folder` as .keras, and as JSON with .weights.h5.

        Returns the paths of the three files; see pipeline.prediction.export.
        """
        with quiet_start():
            from pipeline.prediction.export import export
            from pipeline.prediction.predictor import register_own_layers

        register_own_layers(self.run)
        return export(self.checkpoint, folder, self.rows.images[:500])

    @property
    def _heading(self) -> str:
        return f"{self.run.id}, {self.rows.name} rows"

    @property
    def _labels(self) -> NDArray[np.uint8]:
        if self.rows.labels is None:
            raise PipelineError(
                f"run {self.run.id}: this view needs labels, and the labels of the "
                f"{self.rows.name} rows are not known; use PART=validation"
            )
        return self.rows.labels

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that `parameters` and `export` load."""
        return self.run.checkpoint_paths()[0]

    def _position(self, start: int) -> int:
        """Return the position of the first row with the number `start` or a higher one."""
        last = int(self.rows.row_ids[-1])
        if not 0 <= start <= last:
            raise PipelineError(
                f"START is {start}; the {self.rows.name} rows end with row {last}: give 0 to {last}"
            )
        return int(np.searchsorted(self.rows.row_ids, start))

    def _confused(self, true: int, predicted: int) -> NDArray[np.int64]:
        return tables.confused(self._labels, self.rows.predictions, true, predicted)

    def _draw_rows(self, chosen: NDArray[np.int64], heading: str) -> Figure:
        rows = self.rows
        return plots.digits_by_row(
            rows.images, chosen, rows.labels, rows.predictions, rows.row_ids, heading
        )


def _check_count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise PipelineError(f"COUNT is {count}; 1 to {most} digits fit in this picture")
