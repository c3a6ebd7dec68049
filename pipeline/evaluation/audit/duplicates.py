"""Images that are nearly the same, wherever they stand in their frame."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.data.dataset import Dataset
from pipeline.data.digits import Digits
from pipeline.data.spec import SPEC

FARTHEST = 0.5
"""The largest distance of near duplicates, of pixels from 0 to 1: their root mean square difference
is then 4.6 of 255 grey levels. Noise of a standard deviation of 5 grey levels puts a copy 0.28 away
(the median). The two most alike of one practice draw's 42,000 digits, thin ones, are 0.82 apart."""

FAINTEST_INK = 32
"""The least grey level by which a digit's place in its frame is found. Noise on the paper is
fainter: of 2,000 copies with that noise 98.3 % are found, but none if every grey counts as ink."""

COMPONENTS = 32
"""Principal components of the first, quick search. Their distances are never above the real ones,
so that it misses no pair."""

COLUMNS: dict[str, Any] = {
    "kind": "str",
    "train_row": "Int64",
    "other_row": "Int64",
    "label": "Int64",
    "other_label": "Int64",
    "distance": "float64",
}

_LARGEST = 100_000_000  # bytes of the list's file
_AT_ONCE = 500  # rows in one search: the memory is bounded, were all images alike


def listed(dataset: Dataset, folder: Path) -> tuple[pd.DataFrame, Path]:
    """Return the near duplicates of a dataset, and the path of their list in `folder`.

    The list is read if it is there. It is made if not, or if it is damaged.
    """
    path = folder / f"{dataset.fingerprint[:12]}-near-duplicates-{FARTHEST}.csv"
    try:
        table = pd.read_csv(io.BytesIO(files.read_bytes(path, _LARGEST)), dtype=COLUMNS)
        return table[list(COLUMNS)], path
    except (OSError, ValueError, TypeError, KeyError):
        table = near_duplicates(dataset.labelled, dataset.test_images)
    with files.replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    return table, path


def near_duplicates(train: Digits, test_images: NDArray[np.uint8]) -> pd.DataFrame:
    """List the images that are the same as another, or nearly so, but for their position.

    `test_images` is uint8 [n, 28, 28, 1]. As in `exact_duplicates`, there is one row per later
    copy: `kind` is "train" or "test", the file with the copy, and `other_row` its row there.
    `train_row` is the nearest row of train.csv, for a copy in the same file an earlier one, and
    best one with another label. Rows count from 0. `other_label` is missing (NA) for a test row.
    `distance` is that of the pixels from 0 to 1, 0 for equal ones. Copies with another label come
    first, then the nearest. It takes half a minute for the competition's rows.
    """
    labels, count = train.labels, len(train.labels)
    copies = []
    for one, row, distance in _copies(np.concatenate([train.images, test_images]), labels):
        if row < count:
            copies.append(("train", one, row, labels[one], labels[row], distance))
        else:
            copies.append(("test", one, row - count, labels[one], None, distance))
    table = pd.DataFrame(copies, columns=list(COLUMNS)).astype(COLUMNS)
    agree = (table["label"] == table["other_label"]).fillna(True)
    order = table.assign(agree=agree).sort_values(["agree", "distance", "train_row"]).index
    return table.loc[order].reset_index(drop=True)


def _copies(
    images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> Iterator[tuple[int, int, float]]:
    """Yield the rows of an earlier image and of its later copy, and their distance.

    Only the first images have `labels`. Only these can be the earlier ones.
    """
    # scikit-learn takes seconds to import.
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    pixels, count = _aligned(images), len(labels)
    components = min(COMPONENTS, count)
    reducer = PCA(components, svd_solver="randomized", random_state=0).fit(pixels[:count])
    # float32 may put a pair at the very edge outside, so the quick search looks a little farther.
    finder = NearestNeighbors(radius=FARTHEST * 1.01, algorithm="brute")
    finder.fit(reducer.transform(pixels[:count]))
    for start in range(0, len(pixels), _AT_ONCE):
        part = reducer.transform(pixels[start : start + _AT_ONCE])
        for row, found in enumerate(finder.radius_neighbors(part, return_distance=False), start):
            near = found[found < row]
            distances = np.linalg.norm(pixels[near] - pixels[row], axis=1)
            near, distances = near[distances <= FARTHEST], distances[distances <= FARTHEST]
            if len(near):
                agree = labels[near] == labels[row] if row < count else np.ones(len(near))
                best = np.lexsort((near, distances, agree))[0]
                yield int(near[best]), row, float(distances[best])


def _aligned(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images as float32 [n, 784] in [0, 1], the ink of each moved to the upper left corner.

    Only the rectangle of the ink is kept. An image without ink stays as it is.
    """
    moved = np.zeros(images.shape[:3], np.float32)
    for target, image in zip(moved, images[..., 0], strict=True):
        ink = image >= FAINTEST_INK
        lines, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        whole = not len(lines)
        part = image if whole else image[lines[0] : lines[-1] + 1, columns[0] : columns[-1] + 1]
        target[: part.shape[0], : part.shape[1]] = part / np.float32(SPEC.highest_pixel)
    return moved.reshape(len(images), -1)
