"""The digits that the page draws: each is in it once, however many runs read it wrongly."""

import io
from base64 import b64encode
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.common.errors import PipelineError
from pipeline.competitions.sources import files_at_hand
from pipeline.data.dataset import Dataset, open_dataset
from pipeline.data.spec import SPEC
from pipeline.runs import Run

MOST_PICTURES = 20
"""The most PNG files of whole runs, which take 150 kB each on the page."""


class DigitPictures:
    """Pictures of labelled rows, from the data that are on this machine. Nothing is downloaded.

    `encoded` are the digits' PNG files so far, in Base64. `data_folder` holds the sources' files.
    """

    def __init__(self, data_folder: Path) -> None:
        self.encoded: list[str] = []
        self._folder = data_folder
        self._stored = 0
        self._numbers: dict[tuple[str, int], int] = {}
        self._images: dict[str, NDArray[np.uint8] | None] = {}

    def numbers(self, run: Run, rows: NDArray[np.integer]) -> list[int] | None:
        """Return the places in `encoded` of labelled rows of a run's data, None without the data.

        `rows` is integers [n], row numbers.
        """
        data = run.record.data_fingerprint
        if data not in self._images:
            self._images[data] = self._read(run)
        images = self._images[data]
        if images is None or rows.max(initial=0) >= len(images):
            return None
        for row in map(int, rows):
            if (data, row) not in self._numbers:
                self._numbers[data, row] = len(self.encoded)
                self.encoded.append(_png(images[row]))
        return [self._numbers[data, int(row)] for row in rows]

    def stored(self, path: Path) -> str:
        """Return a run's own PNG file in Base64, or empty text after `MOST_PICTURES` of them."""
        if self._stored == MOST_PICTURES:
            return ""
        self._stored += 1
        return b64encode(path.read_bytes()).decode()

    def _read(self, run: Run) -> NDArray[np.uint8] | None:
        """Return the images of a run's labelled rows, None unless they are those of the run."""
        record = run.record
        try:
            found = files_at_hand(record.source, record.practice_seed, self._folder)
            dataset: Dataset | None = open_dataset(found) if found else None
            if dataset is None or dataset.fingerprint != record.data_fingerprint:
                return None
            return dataset.labelled.images
        except (PipelineError, OSError):
            return None  # the page does without; the stages that need the data say what is wrong


def _png(image: NDArray[np.uint8]) -> str:
    """Return an image, uint8 [28, 28, 1], as a PNG file in Base64: dark ink on white, 16 greys."""
    greys = (SPEC.highest_pixel - image[:, :, 0]) // 17
    picture = Image.fromarray(greys.astype(np.uint8), mode="P")
    picture.putpalette([grey for level in range(16) for grey in [17 * level] * 3])
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, bits=4)
    return b64encode(buffer.getvalue()).decode()
