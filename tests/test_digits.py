"""Reading the competition's CSV files: right files fast and exactly, wrong ones refused."""

import hashlib
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.common.errors import PipelineError
from pipeline.competitions.practice.source import PracticeSource
from pipeline.data import digits
from pipeline.data.digits import Digits

Change = Callable[[list[str]], list[str]]


def cell(line: int, column: int, text: str) -> Change:
    """A change of one cell; lines count from 1, columns from 0."""

    def change(lines: list[str]) -> list[str]:
        cells = lines[line - 1].split(",")
        cells[column] = text
        return [*lines[: line - 1], ",".join(cells), *lines[line:]]

    return change


def columns(order: Callable[[list[str]], list[str]]) -> Change:
    """A change of every line's cells."""
    return lambda lines: [",".join(order(line.split(","))) for line in lines]


def whole_line(line: int, text: Callable[[str], str]) -> Change:
    return lambda lines: [*lines[: line - 1], text(lines[line - 1]), *lines[line:]]


def changed(folder: Path, target: Path, change: Change) -> Path:
    lines = (folder / "train.csv").read_text().splitlines()
    path = target / "train.csv"
    path.write_text("".join(f"{line}\n" for line in change(lines)))
    return path


def test_every_cell_is_read_as_it_is(small_digits: Path, labelled: Digits) -> None:
    train = digits.read_train(small_digits / "train.csv", expected_rows=600)
    test = digits.read_test(small_digits / "test.csv", expected_rows=200)
    assert train.images.dtype == train.labels.dtype == test.dtype == np.uint8
    assert train.images.shape == (600, 28, 28, 1)
    np.testing.assert_array_equal(train.images, labelled.images[:600])
    np.testing.assert_array_equal(train.labels, labelled.labels[:600])
    np.testing.assert_array_equal(test, labelled.images[600:])


def test_a_file_that_a_spreadsheet_saved_is_read(
    small_digits: Path, labelled: Digits, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    text = (small_digits / "train.csv").read_text().replace("\n", "\r\n")
    path.write_text(text, encoding="utf-8-sig", newline="")
    np.testing.assert_array_equal(digits.read_train(path).images, labelled.images[:600])


WRONG: dict[str, tuple[Change, str]] = {
    "column missing": (
        columns(lambda cells: cells[:5] + cells[6:]),
        r"train.csv, line 1: column 6 is 'pixel5' where 'pixel4' belongs; "
        r"needed: label,pixel0,...,pixel783 "
        r"\(785 columns\), found: label,pixel0,...,pixel783 \(784 columns\)",
    ),
    "label missing": (
        columns(lambda cells: cells[1:]),
        "line 1: column 1 is 'pixel0' where 'label' belongs",
    ),
    "column too many": (
        columns(lambda cells: [*cells, "id" if cells[0] == "label" else "1"]),
        r"line 1: column 786 is 'id' where '\(none\)' belongs; needed: label,pixel0,",
    ),
    "columns swapped": (
        columns(lambda cells: [cells[0], cells[2], cells[1], *cells[3:]]),
        "line 1: column 2 is 'pixel1' where 'pixel0' belongs; needed: label,",
    ),
    "column twice": (cell(1, 3, "pixel1"), "line 1: column 4 is 'pixel1' where 'pixel2' belongs"),
    "fraction": (
        cell(5, 8, "12.5"),
        "train.csv, line 5, column 'pixel7': is '12.5', not a whole number; "
        "a whole number from 0 to 255 is needed",
    ),
    "whole float": (cell(5, 8, "12.0"), "line 5, column 'pixel7': is '12.0', not a whole number"),
    "word": (cell(601, 784, "abc"), "line 601, column 'pixel783': is 'abc', not a whole number"),
    "truth": (cell(2, 1, "True"), "line 2, column 'pixel0': is 'True', not a whole number"),
    "empty cell": (cell(3, 400, ""), "line 3, column 'pixel399': is empty"),
    "NaN": (cell(3, 400, "NaN"), "line 3, column 'pixel399': is 'NaN', not a whole number"),
    "too light": (cell(9, 1, "256"), "line 9, column 'pixel0': is 256; a whole number from 0 to"),
    "wraps in uint8": (cell(9, 1, "65536"), "line 9, column 'pixel0': is 65536;"),
    "too long": (cell(9, 1, "9" * 30), f"line 9, column 'pixel0': is '{'9' * 30}', not a whole"),
    "negative": (cell(9, 1, "-1"), "line 9, column 'pixel0': is -1; "),
    "label too high": (
        cell(4, 0, "10"),
        "line 4, column 'label': is 10; a whole number from 0 to 9 is needed",
    ),
    "label empty": (cell(4, 0, ""), "line 4, column 'label': is empty"),
    "cut line": (
        whole_line(601, lambda line: line[: len(line) // 2]),
        r"line 601: has \d+ cells, 785 are needed; the file may be cut short, get it again",
    ),
    "long line": (whole_line(7, lambda line: f"{line},0"), "line 7: has 786 cells, 785 are needed"),
    "all rows long": (
        lambda lines: [lines[0], *(f"{line},0" for line in lines[1:])],
        "line 2: has 786 cells, 785 are needed",
    ),
    "empty line": (whole_line(6, lambda line: f"{line}\n"), "line 7: is empty; remove the line"),
    "open quote": (whole_line(8, lambda line: f'"{line}'), "is not CSV"),
    "far below": (
        # The file is read in pieces; the line must count through all of them.
        lambda lines: cell(5003, 2, "x")([lines[0], *lines[1:] * 9]),
        "line 5003, column 'pixel1': is 'x'",
    ),
    "semicolons": (
        lambda lines: [line.replace(",", ";") for line in lines],
        "train.csv, line 1: the delimiter is ';'; a comma is needed, save the file with commas",
    ),
    "tabs": (
        lambda lines: [line.replace(",", "\t") for line in lines],
        r"train.csv, line 1: the delimiter is '\\t'; a comma is needed",
    ),
    "escape sequence in the header": (
        cell(1, 3, "\x1b[2J" + "x" * 9999),
        r"line 1: column 4 is '\\\\x1b\[2Jx{110,120}\.\.\. \(10,003 characters\)' where 'pixel2' ",
    ),
    "NUL": (cell(3, 2, "\0"), "line 3, column 'pixel1': is '"),
    "header alone": (lambda lines: lines[:1], "train.csv: has a header but no rows"),
    "empty file": (lambda lines: [], "train.csv: the file is empty"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_by_its_first_fault(
    name: str, small_digits: Path, tmp_path: Path
) -> None:
    change, message = WRONG[name]
    with pytest.raises(PipelineError, match=message) as caught:
        digits.read_train(changed(small_digits, tmp_path, change))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("start", "line"), [("", 1), ("header", 2)])
def test_a_line_without_an_end_is_refused_before_it_is_in_memory(
    start: str, line: int, small_digits: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    header = (small_digits / "train.csv").read_bytes().partition(b"\n")[0] + b"\n"
    with path.open("wb") as file:
        file.write(header if start else b"")
        file.write(b"0," * 25_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(PipelineError, match=f"line {line}: is longer than 149,008 bytes; 785"):
            digits.read_train(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_the_first_of_two_faults_is_named(small_digits: Path, tmp_path: Path) -> None:
    path = changed(small_digits, tmp_path, lambda lines: cell(9, 3, "x")(cell(4, 700, "y")(lines)))
    with pytest.raises(PipelineError, match=r"line 4, column 'pixel699': is 'y'"):
        digits.read_train(path)


def test_a_real_competition_has_its_number_of_rows(small_digits: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"test.csv: has 200 rows; 28,000 are needed, make it or get it again"
    ):
        digits.read_test(small_digits / "test.csv", expected_rows=28_000)


def test_labels_in_the_test_file_are_refused(small_digits: Path) -> None:
    with pytest.raises(PipelineError, match="column 1 is 'label' where 'pixel0' belongs"):
        digits.read_test(small_digits / "train.csv")


def test_files_that_are_no_text_or_not_there(small_digits: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"absent.csv: no such file; make it or get it first"):
        digits.read_train(tmp_path / "absent.csv")
    with pytest.raises(PipelineError, match=re.escape(f"{tmp_path}: cannot be read: Is a dir")):
        digits.read_train(tmp_path)
    path = tmp_path / "train.csv"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(PipelineError, match=r"train.csv: is not text; a CSV file in UTF-8"):
        digits.read_train(path)
    path.write_text((small_digits / "train.csv").read_text(), encoding="utf-16")
    with pytest.raises(PipelineError, match=r"train.csv: is text in UTF-16; a CSV file in UTF-8"):
        digits.read_train(path)
    path.write_bytes((small_digits / "train.csv").read_bytes() + b"1,\xff\xff\n")
    with pytest.raises(PipelineError, match=r"train.csv: is not text"):
        digits.read_train(path)


def test_fingerprint_is_that_of_the_bytes(small_digits: Path, tmp_path: Path) -> None:
    train, test = small_digits / "train.csv", small_digits / "test.csv"
    parts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (train, test)]
    expected = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    assert digits.fingerprint(train, test) == expected
    assert digits.fingerprint(test, train) != expected
    other = changed(small_digits, tmp_path, cell(2, 1, "1"))
    assert digits.fingerprint(other, test) != expected
    with pytest.raises(PipelineError, match=r"absent: cannot be read: No such file"):
        digits.fingerprint(train, tmp_path / "absent")


def test_reading_the_real_size_needs_less_than_half_a_gibibyte(
    practice: PracticeSource,
) -> None:
    # Not ru_maxrss: on Linux a process begins with the peak of the one that started it.
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pipeline.data import digits\n"
        "train = digits.read_train(Path(sys.argv[1], 'train.csv'), 42_000)\n"
        "test = digits.read_test(Path(sys.argv[1], 'test.csv'), 28_000)\n"
        "assert len(train.images) + len(test) == 70_000\n"
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "print(next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(practice.folder)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert int(done.stdout) * 1024 < 2**29
