"""Scores practice submissions. The hidden labels are in no file: they are derived to score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.common.errors import PipelineError
from pipeline.competitions.practice.score import Part, Score
from pipeline.competitions.practice.source import PracticeSource
from pipeline.data import mnist

if TYPE_CHECKING:
    from pipeline.competitions.practice.draw import Hidden


def score(source: PracticeSource, predicted: NDArray[np.uint8]) -> Score:
    """Compare `predicted`, uint8 [28000] in the order of `test.csv`, with the hidden labels.

    Raises PipelineError as `hidden_rows` does, and if the number of labels differs.
    """
    labels, public = hidden_rows(source)
    if len(predicted) != len(labels):
        raise PipelineError(
            f"submission: has {len(predicted):,} labels; {len(labels):,} are needed"
        )
    correct = predicted == labels
    parts = (correct[public], correct[~public], correct)
    return Score(*(Part(int(part.sum()), len(part)) for part in parts))


def hidden_rows(source: PracticeSource) -> Hidden:
    """Derive the hidden rows of a practice competition whose files exist.

    Raises PipelineError if MNIST's labels are missing or damaged, or if the rows are not those that
    `test.csv` was built with.
    """
    # Importing scikit-learn takes 2 s, and every command imports this module.
    from pipeline.competitions.practice.draw import draw

    hidden = draw(mnist.read_labels(source.mnist_folder), source.seed).hidden
    if hidden.checksum() != source.hidden_checksum():
        raise PipelineError(
            f"{source.stamp_path}: records other hidden rows than are drawn now; run `make setup` "
            "to get the locked version of scikit-learn, or, if that changes nothing, delete this "
            "file to have the data built again"
        )
    return hidden
