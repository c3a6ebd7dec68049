"""The competition's files with blank digits, and the archive of them."""

from pathlib import Path

from pipeline.competitions.kaggle.download import unpack
from tests.kaggle_stand_in import archive

PIXELS = ",".join(f"pixel{number}" for number in range(784))
BLANK = ",".join(["0"] * 784)
TRAIN = f"label,{PIXELS}\n".encode() + b"".join(f"{d},{BLANK}\n".encode() * 4200 for d in range(10))
TEST = f"{PIXELS}\n".encode() + f"{BLANK}\n".encode() * 28_000
GOOD = {"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": b"ImageId,Label\n1,0\n"}
GOOD_ZIP = archive(GOOD)


def unpack_bytes(content: bytes, folder: Path) -> None:
    """Unpack an archive given as bytes into `folder`."""
    path = folder.parent / "digit-recognizer.zip"
    path.write_bytes(content)
    unpack(path, folder)
