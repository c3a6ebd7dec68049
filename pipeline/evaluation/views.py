"""The ways of looking at one run: each method returns a Figure, a table, or text.

`make look` saves and prints what they return (stages/look.py); a notebook shows it as it is.
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
from pipeline.evaluation.pictures import curves
from pipeline.runs import Run


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that a run has predicted.

    `name` says which ("validation" or "test"); `images` is uint8 [n, 28, 28, 1]; `row_ids` is
    integers [n], their row numbers in the source's file, ascending; `labels` is integers [n] in
    0..9, or None where the source keeps them; `probabilities` is float32 [n, 10].
    """

    name: str
    images: NDArray[np.uint8]
    row_ids: NDArray[np.int64]
    labels: NDArray[np.uint8] | None
    probabilities: NDArray[np.float32]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The likeliest digit of every row, int64 [n]."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


class Views:
    """A run and the rows that it is looked at with.

    `start` is a row number as the pictures and lists name it: a view begins at the first of its
    rows from there on. A view raises PipelineError for a row or count out of range, where it needs
    labels and the rows have none, or a network and the run has none. The views of the network
    itself load the run's first checkpoint, the best of those kept. They alone import TensorFlow,
    which takes seconds.
    """

    def __init__(self, run: Run, rows: Rows) -> None:
        self.run = run
        self.rows = rows

    def digits(self, start: int = 0, count: int = 25) -> Figure:
        """Draw `count` digits from row `start` on, titled "label, prediction"."""
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
        """Draw `count` digits at random, the same for the same `seed`."""
        _check_count(count, plots.MOST_DIGITS)
        total = len(self.rows.images)
        chosen = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
        return self._digits(chosen, f"{self._heading}\n{len(chosen)} at random, seed {seed}")

    def probabilities(self, start: int = 0, count: int = 9) -> Figure:
        """Draw digits from row `start` on, each beside the bars of its ten probabilities."""
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
        """Draw a member's training and validation accuracy and loss, and its learning rate."""
        self._check_single()
        return curves(self.run, member)

    def confusion(self) -> Figure:
        """Draw the confusion table as a seaborn heatmap."""
        return plots.confusion_heatmap(self._labels, self.rows.predictions, self._heading)

    def crosstab(self) -> pd.DataFrame:
        """Return the confusion table of pandas: true labels down, predictions across."""
        return tables.crosstab(self._labels, self.rows.predictions)

    def confused(self, true: int, predicted: int) -> pd.DataFrame:
        """List the rows labelled `true` that were read as `predicted`, with both probabilities."""
        found = self._confused(true, predicted)
        chances = self.rows.probabilities[found]
        return pd.DataFrame(
            {
                "row": self.rows.row_ids[found],
                f"probability of {true}": chances[:, true],
                f"probability of {predicted}": chances[:, predicted],
            }
        )

    def confused_digits(self, true: int, predicted: int, count: int = 25) -> Figure:
        """Draw the first `count` rows labelled `true` that were read as `predicted`.

        Raises PipelineError if there is no such row.
        """
        _check_count(count, plots.MOST_DIGITS)
        found = self._confused(true, predicted)
        if not len(found):
            raise PipelineError(
                f"run {self.run.id} read no {self.rows.name} row labelled {true} as {predicted}; "
                "the confusion table shows the pairs that came"
            )
        heading = f"{self._heading}\nlabel {true}, read as {predicted}: {len(found):,} rows"
        return self._digits(found[:count], heading)

    def most_confused(self) -> tuple[int, int]:
        """Return the label and the wrong prediction that come together most often."""
        counts = self.crosstab().to_numpy()[:-1, :-1]  # without the sums
        np.fill_diagonal(counts, -1)
        true, predicted = np.unravel_index(counts.argmax(), counts.shape)
        return int(true), int(predicted)

    def pixels(self, start: int = 0) -> str:
        """Return the grey values of one digit as text: its row number, then 28 lines."""
        position = self._position(start)
        row = self.rows.row_ids[position]
        return f"row {row}:\n{tables.pixel_text(self.rows.images[position])}"

    def parameters(self) -> str:
        """Return the network's layers as text, with parameter counts and the formula of each."""
        with quiet_start():
            from pipeline.networks.layer_table import as_text, layer_table
            from pipeline.prediction.predictor import load_checkpoint

        return as_text(layer_table(load_checkpoint(self.checkpoint)))

    def export(self, folder: Path) -> list[Path]:
        """Write the network as .keras, and as JSON and .weights.h5; see exports.export."""
        with quiet_start():
            from pipeline.prediction.export import export

        return export(self.checkpoint, folder, self.rows.images[:500])

    @property
    def _heading(self) -> str:
        return f"{self.run.id}, {self.rows.name} rows"

    @property
    def _labels(self) -> NDArray[np.uint8]:
        if self.rows.labels is None:
            raise PipelineError(
                f"run {self.run.id}: the labels of the {self.rows.name} rows are not known, which "
                "this view needs; use PART=validation"
            )
        return self.rows.labels

    @property
    def checkpoint(self) -> Path:
        """The file that the views of the network load."""
        self._check_single()
        return self.run.checkpoint_paths()[0]

    def _check_single(self) -> None:
        parents = self.run.record.parents
        if parents:
            raise PipelineError(
                f"run {self.run.id} averages {' and '.join(parents)} and has no network of its "
                "own; look at one of them"
            )

    def _position(self, start: int) -> int:
        """Return where the rows from number `start` on begin."""
        last = int(self.rows.row_ids[-1])
        if not 0 <= start <= last:
            raise PipelineError(
                f"START is {start}; the {self.rows.name} rows end with row {last}: give 0 to {last}"
            )
        return int(np.searchsorted(self.rows.row_ids, start))

    def _confused(self, true: int, predicted: int) -> NDArray[np.int64]:
        return tables.confused(self._labels, self.rows.predictions, true, predicted)

    def _digits(self, chosen: NDArray[np.int64], heading: str) -> Figure:
        rows = self.rows
        return plots.digits_by_row(
            rows.images, chosen, rows.labels, rows.predictions, rows.row_ids, heading
        )


def _check_count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise PipelineError(f"COUNT is {count}; 1 to {most} digits fit in this picture")
