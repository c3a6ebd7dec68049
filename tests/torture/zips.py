"""Damaged and hostile archives: refused with the old files untouched, or unpacked as packed."""

import io
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from pipeline.competitions.kaggle.download import unpack
from pipeline.data.spec import SPEC
from tests.kaggle.files import BLANK, PIXELS
from tests.torture.edits import EDITS, Edit, edited
from tests.torture.verdict import LostError, Verdict, content, examine, result, workspace

SMALL = replace(SPEC, train_rows=2, test_rows=2)
"""The competition with files so small that thousands can be unpacked."""

TRAIN = f"label,{PIXELS}\n0,{BLANK}\n1,{BLANK}\n".encode()
TEST = f"{PIXELS}\n{BLANK}\n{BLANK}\n".encode()
SAMPLE = b"ImageId,Label\n1,0\n2,0\n"
GOOD = {"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": SAMPLE}
OLD = {name: b"old " + name.encode() for name in GOOD}
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
NAMES = ["../evil.csv", "/tmp/evil.csv", "a\\..\\..\\evil.csv", "C:/evil.csv", "sub/train.csv"]
NAMES += [
    "train.csv",
    "test.csv",
    "train.csv/",
    "./train.csv",
    "TRAIN.CSV",
    "\x1b[2Jx",
    "a\nb",
    "é.csv",
]
NAMES += [
    "x" * 60_000,
    "train.csv.zip",
    "test.csv.zip",
    "data/../../evil.csv",
    "\u202evsc.niart",
    "",
]
_DIRECTORY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"


@dataclass(frozen=True)
class Hostile:
    """An archive: which members are left out, nested or packed how, what is added and damaged.

    `extra` are members by name and content. `fields` are two bytes of the header of an entry: of
    the central directory or of the member itself, which entry, at which offset, and their value.
    `names` replaces names of members by bytes of the same length.
    """

    method: int
    left_out: list[str]
    nested: list[str]
    extra: list[tuple[str, bytes]]
    fields: list[tuple[bytes, int, int, int]]
    names: list[tuple[str, bytes]]
    edits: list[Edit]

    def pack(self) -> bytes:
        """Return the archive's bytes."""
        members = [(name, data) for name, data in GOOD.items() if name not in self.left_out]
        members = [
            (f"{name}.zip", _zip([(name, data)], self.method))
            if name in self.nested
            else (name, data)
            for name, data in members
        ]
        packed = _zip(members + self.extra, self.method)
        for signature, entry, offset, value in self.fields:
            starts = [at for at in range(len(packed)) if packed.startswith(signature, at)]
            at = starts[entry % len(starts)] + offset if starts else 0
            packed = packed[:at] + value.to_bytes(2, "little") + packed[at + 2 :]
        for name, noise in self.names:
            packed = packed.replace(name.encode(), (noise * len(name))[: len(name)])
        return edited(packed, self.edits)

    def contents(self, name: str) -> list[bytes]:
        """Return what the archive holds under `name`, also zipped once more."""
        return [GOOD[name], *(data for given, data in self.extra if given in (name, f"{name}.zip"))]


def _zip(members: list[tuple[str, bytes]], method: int) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as file:
        warnings.simplefilter("ignore")  # of names given twice
        for name, data in members:
            info = zipfile.ZipInfo(name or "empty")
            info.filename, info.compress_type = name, method
            file.writestr(info, data)
    return buffer.getvalue()


BOMB = b"0\n" * 5_000_000
DATA = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"", TRAIN, TEST, TRAIN[:-9], TEST.replace(b"\n0", b"\n300"), b"\0" * 100_000]
    ),
    st.sampled_from([_zip([("train.csv", TRAIN)], 8), _zip([("a", b"")], 8), _zip([], 8), BOMB]),
)
FIELDS = st.tuples(
    st.sampled_from([_DIRECTORY, _LOCAL]),
    st.integers(0, 4),
    st.integers(4, 45),
    st.sampled_from([0, 1, 0x800, 8, 12, 14, 99, 0xFFFF]) | st.integers(0, 0xFFFF),
)


def _rarely(values: st.SearchStrategy[list[object]]) -> st.SearchStrategy[list[object]]:
    return st.one_of(st.just([]), st.just([]), values)


ARCHIVES = st.builds(
    Hostile,
    method=st.sampled_from(METHODS),
    left_out=_rarely(st.lists(st.sampled_from(list(GOOD)), max_size=2)),
    nested=_rarely(st.lists(st.sampled_from(list(GOOD)), max_size=3)),
    extra=_rarely(
        st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=9), DATA), max_size=2)
    ),
    fields=_rarely(st.lists(FIELDS, max_size=2)),
    names=_rarely(
        st.lists(
            st.tuples(st.sampled_from(list(GOOD)), st.binary(min_size=1, max_size=9)), max_size=1
        )
    ),
    edits=EDITS,
)


def check(root: Path) -> Callable[[Hostile], None]:
    """Return the check of one archive, which is unpacked within `root`."""
    folder = root / "data" / "kaggle"
    archive = folder / ".download" / SPEC.archive

    def unpacked() -> bool:
        unpack(archive, folder)
        return True

    def check_one(hostile: Hostile) -> None:
        archive.parent.mkdir(parents=True, exist_ok=True)
        for path in archive.parent.iterdir():
            path.unlink()
        for name, data in OLD.items():
            (folder / name).write_bytes(data)
        archive.write_bytes(hostile.pack())
        done = result(unpacked)
        found = {
            name: data
            for name, data in content(root).items()
            if not name.startswith("data/kaggle/.download/")
        }
        if not done and found != {f"data/kaggle/{name}": data for name, data in OLD.items()}:
            raise LostError(f"a refused archive changed the folder: {sorted(found)}")
        for name, data in found.items():
            base = name.removeprefix("data/kaggle/")
            if base not in GOOD:
                raise LostError(f"a file that does not belong there: {name!r}")
            if data != OLD[base] and data not in hostile.contents(base):
                raise LostError(f"{base} is not what the archive holds")
        if done and not all(found[f"data/kaggle/{name}"] != OLD[name] for name in SPEC.data_files):
            raise LostError("an accepted archive left an old file")

    return check_one


def torture(count: int, number: int) -> Verdict:
    """Try `count` archives, drawn with the seed `number`."""
    with workspace() as root, patch("pipeline.competitions.kaggle.download.SPEC", SMALL):
        return examine(ARCHIVES, check(root), count, number)
