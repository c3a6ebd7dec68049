"""The picture files of one run on the disk: where they are, and whether they are whole.

Nothing here imports a drawing library, which would take seconds.
"""

from pathlib import Path

from PIL import Image

from pipeline.runs import HISTORY_FILE, Run


def mistakes_file(run: Run) -> Path:
    """Return the path of the picture of the worst mistakes."""
    return run.folder / "mistakes.png"


def curve_files(run: Run) -> dict[Path, int]:
    """Return the paths of the learning curves that a run can have, and their members' indices.

    A run can be scored without a history. An epoch that is no longer the member's own, because it
    diverged and began anew, has none.
    """
    folders = {
        one.index: run.member_folder(one.index)
        for one in ([] if run.record.parents else run.record.members)
        if one.epochs
    }
    return {
        folder / "curves.png": index
        for index, folder in folders.items()
        if (folder / HISTORY_FILE).exists()
    }


def damaged(run: Run) -> list[Path]:
    """Return the pictures in a scored run's folder that are missing or damaged."""
    return [path for path in (*curve_files(run), mistakes_file(run)) if not is_whole(path)]


def is_whole(path: Path) -> bool:
    """Return whether `path` is a PNG file whose checksums, which the format has, are right."""
    if not path.is_file():
        return False
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.verify()
    except Exception:  # Pillow raises a dozen kinds
        return False
    return True
