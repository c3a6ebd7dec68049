"""Damaged ledgers of uploads: refused untouched, or no row and no column of them is lost."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from pipeline.competitions.ledger import Ledger
from pipeline.competitions.protocol import Entry
from tests.torture.edits import EDITS, ODD_TEXTS, Edit, edited
from tests.torture.verdict import LostError, Verdict, examine, result, workspace

CHECKSUM = "ab" * 32
TEXTS = ("run", "sha256", "competition", "token", "message", "submitted_at", "reference", "note")
"""The columns that must stay as they are, among them one of the user's own."""

Row = dict[str, str]


@dataclass(frozen=True)
class Damage:
    """Cells of a good ledger that are replaced, by row and column, and changes of its bytes."""

    cells: list[tuple[int, str, str]]
    edits: Sequence[Edit]

    def apply(self, good: bytes) -> bytes:
        """Return the damaged ledger, with the user's own column."""
        rows = table(good)
        for number, row in enumerate(rows):
            row["note"] = f"mine, {number}"
        for number, column, text in self.cells:
            rows[number % len(rows)][column] = text
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return edited(written.getvalue().encode("utf-8", "surrogatepass"), self.edits)


def table(content: bytes) -> list[Row]:
    """Return the rows of a CSV file with its columns' names."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


COLUMNS = (*TEXTS, "status", "public_score", "private_score", "hidden_score", "revealed_at")
CELLS = ODD_TEXTS | st.sampled_from(
    ["0.5", "95.5", "nan", "1e999", "-1", "complete", "error", "sent"]
)
DAMAGES = st.builds(
    Damage,
    cells=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(COLUMNS), CELLS),
        max_size=3,
    ),
    edits=st.just([]) | EDITS,
)


def make(path: Path) -> bytes:
    """Make a good ledger of three uploads and return its content."""
    ledger = Ledger(path)
    for number in range(3):
        upload = ledger.begin("run-1", CHECKSUM, "kaggle", f'number {number}, "quoted"')
        if number:
            ledger.update(upload.listed_as(_entry(number)))
    return path.read_bytes()


def _entry(number: int) -> Entry:
    row = {"ref": str(number), "fileName": "a.csv", "date": "2026-01-01T00:00:00+00:00"}
    return Entry.model_validate(
        {**row, "description": "m", "status": "complete", "publicScore": 0.5}
    )


def _kept(before: Sequence[Row], after: Sequence[Row]) -> bool:
    """Return whether the first rows of `after` hold the texts of `before`.

    A cell that a spreadsheet would take for a formula may have got an apostrophe before it.
    """
    return len(after) >= len(before) and all(
        new.get(column, "").removeprefix("'") == text.removeprefix("'")
        for old, new in zip(before, after, strict=False)
        for column, text in old.items()
        if column in TEXTS and text is not None
    )


def check(path: Path, good: bytes) -> Callable[[Damage], None]:
    """Return the check of one damaged ledger, which is written to `path`."""

    def check_one(damage: Damage) -> None:
        content = damage.apply(good)
        path.write_bytes(content)
        ledger = Ledger(path)
        uploads = result(ledger.uploads)
        if uploads is not None:
            for score in (one.public_score for one in uploads):
                if score is not None and not 0 <= score <= 1:
                    raise LostError(f"a public score of {score} was accepted")
        begun = result(lambda: ledger.begin("run-2", CHECKSUM, "kaggle", "one more"))
        if begun is None:
            if path.read_bytes() != content:
                raise LostError("a refused ledger was changed")
            return
        _compare(content, path)
        result(lambda: ledger.update(begun.listed_as(_entry(9))))
        _compare(content, path)

    return check_one


def _compare(content: bytes, path: Path) -> None:
    """Raise LostError unless the ledger at `path` is the one of `content` with one row more."""
    limit = csv.field_size_limit(1 << 30)
    try:
        before, after = table(content), table(path.read_bytes())
    finally:
        csv.field_size_limit(limit)
    if not _kept(before, after) or len(after) != len(before) + 1:
        raise LostError(f"rows or cells are gone: {before!r:.600} became {after!r:.600}")


def torture(count: int, number: int) -> Verdict:
    """Try `count` damaged ledgers, drawn with the seed `number`."""
    with workspace() as folder:
        path = folder / "submissions" / "ledger.csv"
        return examine(DAMAGES, check(path, make(path)), count, number)
