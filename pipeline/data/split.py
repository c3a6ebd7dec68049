"""Which rows of `train.csv` are trained on, which are held out, and which images occur twice."""

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.data.digits import Digits
from pipeline.data.spec import SPEC

DUPLICATE_COLUMNS = ("kind", "train_row", "other_row", "label", "other_label")
"""Columns of the table that `exact_duplicates` returns."""


@dataclass(frozen=True, eq=False)
class Split:
    """Two disjoint sets of row numbers that together are all rows of one `train.csv`.

    `train_rows` and `validation_rows` are int64 and ascending; row 0 is the first row after the
    header. `data_fingerprint` identifies the data that the rows belong to (`Dataset.fingerprint`).
    `fraction` and `seed` are the settings that the split was made with.
    """

    data_fingerprint: str
    fraction: float
    seed: int
    train_rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits: SHA-256 over the data's fingerprint and both sets of rows."""
        digest = hashlib.sha256(self.data_fingerprint.encode())
        for rows in (self.train_rows, self.validation_rows):
            # The length marks where one set ends; the byte order is fixed.
            digest.update(f":{len(rows)}:".encode())
            digest.update(rows.astype("<i8").tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the split to a `.npz` file, wholly or not at all."""
        with files.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **vars(self), fingerprint=np.array(self.fingerprint))

    @classmethod
    def load(cls, path: Path, data_fingerprint: str) -> "Split":
        """Read a split that `save` wrote for the data with this fingerprint.

        Raises PipelineError if the file is missing or damaged, or made for other data.
        """
        try:
            # NumPy itself would leave the file open if the zip in it is broken.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                split = cls(
                    data_fingerprint=str(saved["data_fingerprint"]),
                    fraction=float(saved["fraction"]),
                    seed=int(saved["seed"]),
                    train_rows=saved["train_rows"],
                    validation_rows=saved["validation_rows"],
                )
                whole = split.fingerprint == str(saved["fingerprint"])
        except FileNotFoundError:
            raise PipelineError(f"{path}: no such file; make the split first") from None
        except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
            whole = False
        if not whole:
            raise PipelineError(f"{path}: is not a whole split file; delete it and split again")
        if split.data_fingerprint != data_fingerprint:
            raise PipelineError(
                f"{path}: was made for the data {split.data_fingerprint[:12]}, the data here is "
                f"{data_fingerprint[:12]}; delete it and split again"
            )
        return split


def hold_out(labels: NDArray[np.uint8], fraction: float, seed: int, data_fingerprint: str) -> Split:
    """Hold out `fraction` of the rows, stratified by label. The same seed gives the same rows.

    `labels` is uint8 [n]; 0 < `fraction` < 1; 0 <= `seed` < 2**32. The rows are those of
    scikit-learn's `train_test_split(test_size=fraction, random_state=seed, stratify=labels)`,
    sorted. Raises PipelineError if a label has fewer than 2 rows, or if either side would have
    fewer rows than there are labels.
    """
    # Importing scikit-learn takes 2 s, which a command that reads a saved split need not spend.
    from sklearn.model_selection import train_test_split

    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise PipelineError(
            f"{SPEC.train_file}: label {classes[counts.argmin()]} has 1 row; a label needs 2 or "
            "more rows to be on both sides of the split, add rows or leave the label out"
        )
    try:
        train_rows, validation_rows = train_test_split(
            np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise PipelineError(
            f"split.validation_fraction: {fraction} of {len(labels)} rows cannot put each of "
            f"{len(classes)} labels on both sides ({error}); choose a fraction nearer to 0.5"
        ) from error
    return Split(data_fingerprint, fraction, seed, np.sort(train_rows), np.sort(validation_rows))


def k_folds(labels: NDArray[np.uint8], folds: int, seed: int, data_fingerprint: str) -> list[Split]:
    """Divide the rows into `folds` stratified folds and return one split per fold.

    Each split validates on its fold and trains on the others, so that every row is a validation
    row of exactly one split. `labels` is uint8 [n]; 2 <= `folds` <= the rarest label's rows;
    0 <= `seed` < 2**32. The folds are those of scikit-learn's
    `StratifiedKFold(folds, shuffle=True, random_state=seed)`. Raises PipelineError if `folds` is
    out of its range.
    """
    from sklearn.model_selection import StratifiedKFold

    rarest = int(np.unique(labels, return_counts=True)[1].min())
    if not 2 <= folds <= rarest:
        raise PipelineError(
            f"members.folds: is {folds}; 2 to {rarest} are allowed, as the rarest label has "
            f"{rarest} rows"
        )
    pairs = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    return [
        Split(data_fingerprint, 1 / folds, seed, train_rows, validation_rows)
        for train_rows, validation_rows in pairs
    ]


def fingerprint(splits: Sequence[Split]) -> str:
    """Return 64 hexadecimal digits that identify a hold-out, or a run's folds in their order."""
    if len(splits) == 1:
        return splits[0].fingerprint
    return hashlib.sha256("".join(split.fingerprint for split in splits).encode()).hexdigest()


def exact_duplicates(train: Digits, test_images: NDArray[np.uint8]) -> pd.DataFrame:
    """List the images that occur in the data more than once, pixel for pixel.

    `test_images` is uint8 [n, 28, 28, 1]. The result has one row per later copy: `kind` is "train"
    or "test", the file with the copy; `train_row` is the first row of `train.csv` with the image
    and `label` its label; `other_row` is the copy's row in its own file and `other_label` its
    label, missing (NA) for a test row. Rows count from 0. Copies within the test file alone are
    not listed: they leak nothing.
    """
    first_rows: dict[bytes, int] = {}
    copies: list[tuple[str, int, int, int, int | None]] = []
    for row, image in enumerate(train.images):
        first = first_rows.setdefault(image.tobytes(), row)
        if first != row:
            copies.append(("train", first, row, int(train.labels[first]), int(train.labels[row])))
    for row, image in enumerate(test_images):
        match = first_rows.get(image.tobytes())
        if match is not None:
            copies.append(("test", match, row, int(train.labels[match]), None))
    table = pd.DataFrame(copies, columns=list(DUPLICATE_COLUMNS))
    return table.astype(dict.fromkeys(DUPLICATE_COLUMNS[1:], "Int64"))
