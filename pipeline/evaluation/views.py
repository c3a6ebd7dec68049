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
from pipeline.data.spec import SPEC
from pipeline.evaluation import plots, scores
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

    def take(self, chosen: NDArray[np.int64]) -> "PredictedRows":
        """Return the rows at the positions `chosen`, in their order."""
        return PredictedRows(
            name=self.name,
            images=self.images[chosen],
            row_ids=self.row_ids[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            probabilities=self.probabilities[chosen],
        )


@dataclass(frozen=True, eq=False)
class Views:
    """The views of a run on some of the rows that it has predicted.

    `start` is a row number as the pictures and lists print it; a view begins at the first of its
    rows with that number or a higher one. All methods raise PipelineError for a row, count or digit
    out of range, for rows without labels where labels are needed, and for a run without a network
    of its own where one is needed. `parameters` and `export` load the run's first checkpoint, which
    is the best one kept. Only they import TensorFlow, which takes seconds.
    """

    run: Run
    rows: PredictedRows

    def digits(self, start: int = 0, count: int = 25) -> Figure:
        """Draw `count` digits from row `start` on, each titled "label, prediction"."""
        _check_count(count, plots.MOST_DIGITS)
        chosen = self._positions(start, count)
        first, last = self.rows.row_ids[chosen[[0, -1]]]
        total = len(self.rows.images)
        return self._draw(chosen, f"rows {first} to {last}: {len(chosen):,} of {total:,} digits")

    def random_digits(self, count: int = 25, seed: int = 0) -> Figure:
        """Draw `count` random digits; the same `seed` gives the same digits."""
        _check_count(count, plots.MOST_DIGITS)
        total = len(self.rows.images)
        chosen = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
        return self._draw(chosen, f"{len(chosen)} at random, seed {seed}")

    def probabilities(self, start: int = 0, count: int = 9) -> Figure:
        """Draw `count` digits from row `start` on, each beside bars of its ten probabilities."""
        _check_count(count, plots.MOST_BARS)
        rows = self.rows.take(self._positions(start, count))
        return plots.probability_bars(
            rows.images, rows.probabilities, rows.labels, rows.row_ids, self._heading
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
        return scores.crosstab(self._labels, self.rows.predictions)

    def confused(self, true: int, predicted: int) -> pd.DataFrame:
        """List the rows labelled `true` and predicted as `predicted`, with both probabilities."""
        rows = self.rows.take(self._confused(true, predicted))
        table = pd.DataFrame({"row": rows.row_ids})
        for digit in (true, predicted):
            table[f"probability of {digit}"] = rows.probabilities[:, digit]
        return table

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
        return self._draw(positions[:count], rows)

    def most_confused(self) -> tuple[int, int]:
        """Return the label and the wrong prediction that occur together most often."""
        counts = self.crosstab().to_numpy()[:-1, :-1]  # without the sums
        np.fill_diagonal(counts, -1)
        true, predicted = np.unravel_index(counts.argmax(), counts.shape)
        return int(true), int(predicted)

    def pixels(self, start: int = 0) -> str:
        """Return one digit's row number, then its 28 lines of 28 grey values, as text.

        The values are from 0 (paper) to 255 (ink), right-aligned in 4 characters. A dot stands for
        0, which makes the digit's shape visible.
        """
        row = self.rows.take(self._positions(start, count=1))
        lines = ["".join(f"{value or '.':>4}" for value in line) for line in row.images[0, :, :, 0]]
        return "\n".join([f"row {row.row_ids[0]}:", *lines])

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

    def _positions(self, start: int, count: int) -> NDArray[np.int64]:
        """Return the positions of up to `count` rows from the number `start` on."""
        last = self.rows.row_ids[-1]
        if not 0 <= start <= last:
            raise PipelineError(
                f"START is {start}; the {self.rows.name} rows end with row {last}: give 0 to {last}"
            )
        return np.flatnonzero(self.rows.row_ids >= start)[:count]

    def _confused(self, true: int, predicted: int) -> NDArray[np.int64]:
        """Return the positions of the rows labelled `true` and predicted as `predicted`."""
        for name, digit in (("TRUE", true), ("PREDICTED", predicted)):
            if not 0 <= digit < SPEC.classes:
                raise PipelineError(f"{name} is {digit}; give a digit from 0 to {SPEC.classes - 1}")
        return np.flatnonzero((self._labels == true) & (self.rows.predictions == predicted))

    def _draw(self, chosen: NDArray[np.int64], detail: str) -> Figure:
        """Draw the rows at the positions `chosen`; `detail` says which they are."""
        rows = self.rows.take(chosen)
        heading = f"{self._heading}\n{detail}"
        return plots.digit_grid(rows.images, rows.labels, rows.predictions, rows.row_ids, heading)


def _check_count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise PipelineError(f"COUNT is {count}; 1 to {most} digits fit in this picture")
