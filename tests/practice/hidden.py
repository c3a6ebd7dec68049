"""The file of the hidden labels."""

import csv
from pathlib import Path


def hidden_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "hidden" / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))
