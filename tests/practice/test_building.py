"""The practice files: MNIST split as Kaggle's files are, and rebuilt if damaged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.competitions.practice import builder
from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.practice.draw import Hidden
from pipeline.competitions.practice.source import PracticeSource
from pipeline.competitions.protocol import Competition, Source
from pipeline.competitions.sources import MNIST_FOLDER
from pipeline.data import digits, mnist

NAMES = ("train.csv", "test.csv", "sample_submission.csv")


def sums(folder: Path) -> dict[str, str]:
    return {name: files.sha256(folder / name) for name in NAMES}


def test_is_a_source_and_a_competition(practice: PracticeSource) -> None:
    source: Source = practice
    competition: Competition = PracticeCompetition(practice)
    assert (source.location, competition.key) == ("practice", "practice")
    other = PracticeSource(practice.folder, MNIST_FOLDER, 3)
    assert (other.location, PracticeCompetition(other).key) == ("practice", "practice-3")


def test_all_of_mnist_is_used_once_and_with_its_label(
    practice: PracticeSource, hidden: Hidden
) -> None:
    train = digits.read_train(practice.folder / "train.csv", 42_000)
    test = digits.read_test(practice.folder / "test.csv", 28_000)
    images, labels = mnist.read_mnist(MNIST_FOLDER)

    def pairs(images: NDArray[np.uint8], labels: NDArray[np.integer]) -> set[tuple[bytes, int]]:
        return {(im.tobytes(), int(label)) for im, label in zip(images, labels, strict=True)}

    labelled, unlabelled = pairs(train.images, train.labels), pairs(test, hidden.labels)
    # MNIST holds no image twice, so sets lose nothing.
    assert (len(labelled), len(unlabelled)) == (42_000, 28_000)
    assert not labelled & unlabelled
    assert labelled | unlabelled == pairs(images, labels)
    assert (train.images[:100].reshape(100, -1) != images[:100]).any(axis=1).all(), "not shuffled"
    shares = np.bincount(labels) / 70_000
    assert (np.abs(np.bincount(train.labels) - 42_000 * shares) < 1).all()


def test_files_are_kaggles_format_to_the_byte(practice: PracticeSource) -> None:
    pixels = ",".join(f"pixel{number}" for number in range(784)).encode()
    train = (practice.folder / "train.csv").read_bytes()
    test = (practice.folder / "test.csv").read_bytes()
    assert train.startswith(b"label," + pixels + b"\n")
    assert test.startswith(pixels + b"\n")
    for content, rows, cells in ((train, 42_000, 785), (test, 28_000, 784)):
        assert content.count(b"\n") == rows + 1
        assert content.count(b",") == (rows + 1) * (cells - 1)
        assert content.endswith(b"\n")
        assert not set(content[content.index(b"\n") :]) - set(b"0123456789,\n")
    sample = (practice.folder / "sample_submission.csv").read_text()
    expected = "".join(f"{number},0\n" for number in range(1, 28_001))
    assert sample == "ImageId,Label\n" + expected


def test_table_is_written_as_pandas_would(tmp_path: Path) -> None:
    table = np.arange(256, dtype=np.uint8).reshape(64, 4)
    builder.write_table(tmp_path / "t.csv", ["a", "b", "c", "d"], table)
    rows = "".join(",".join(map(str, row)) + "\n" for row in table.tolist())
    assert (tmp_path / "t.csv").read_text() == "a,b,c,d\n" + rows


def test_a_quarter_of_the_hidden_rows_is_public(hidden: Hidden) -> None:
    labels, public = hidden
    assert (len(labels), len(public), public.sum()) == (28_000, 28_000, 7_000)
    assert (np.abs(np.bincount(labels[public]) - np.bincount(labels) / 4) < 1).all()
    assert 0 < public[:100].sum() < 100, "not shuffled"


def test_a_complete_folder_is_not_written_to(practice: PracticeSource) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in practice.folder.rglob("*")}

    before = times()
    data_files = practice.fetch()
    assert times() == before
    assert data_files.train == practice.folder / "train.csv"
    assert data_files.test == practice.folder / "test.csv"
    assert data_files.full_size


def damage_a_byte(folder: Path) -> None:
    with (folder / "test.csv").open("r+b") as file:
        file.seek(-10_000, 2)
        file.write(b"9" if file.read(1) != b"9" else b"8")


def edit_stamp(folder: Path, **changes: object) -> None:
    path = folder / "practice.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: (folder / "train.csv").write_bytes(b"label,pixel0\n"),
    "a byte": damage_a_byte,
    "stamp gone": lambda folder: (folder / "practice.json").unlink(),
    "an earlier format": lambda folder: edit_stamp(folder, format=1),
    "no checksum": lambda folder: edit_stamp(folder, hidden_sha256=""),
    "stamp cut": lambda folder: (folder / "practice.json").write_text('{"format": 1'),
}


def test_a_damaged_folder_is_noticed(copy: PracticeSource, tmp_path: Path) -> None:
    # Building takes seconds. Without MNIST it fails at once, which shows that it was tried.
    other = PracticeSource(copy.folder, tmp_path / "no mnist", 0)
    other.fetch()
    kept = tmp_path / "kept"
    shutil.copytree(copy.folder, kept)
    for damage in DAMAGES.values():
        damage(copy.folder)
        with pytest.raises(PipelineError, match=r"train-images-idx3-ubyte.gz: no such file"):
            other.fetch()
        shutil.rmtree(copy.folder)
        shutil.copytree(kept, copy.folder)
        other.fetch()


def test_a_damaged_folder_is_rebuilt_to_the_same_bytes(
    copy: PracticeSource, practice: PracticeSource
) -> None:
    damage_a_byte(copy.folder)
    (copy.folder / "train.csv").unlink()
    (copy.folder / "hidden").mkdir()  # as earlier versions left it
    (copy.folder / "hidden" / "labels.csv").write_text("ImageId,Label,Usage\n1,2,Public\n")
    assert files.sha256(copy.folder / "test.csv") != files.sha256(practice.folder / "test.csv")
    copy.fetch()
    assert sums(copy.folder) == sums(practice.folder)
    assert not (copy.folder / "hidden").exists()
    stamp = json.loads((copy.folder / "practice.json").read_text())
    assert {name: noted["sha256"] for name, noted in stamp["files"].items()} == sums(copy.folder)


def test_a_build_that_stops_halfway_leaves_no_stamp(
    copy: PracticeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    (copy.folder / "train.csv").unlink()
    monkeypatch.setattr(builder, "write_table", stop)
    with pytest.raises(KeyboardInterrupt):
        copy.fetch()
    assert not (copy.folder / "practice.json").exists()


def test_files_that_were_only_touched_are_kept(copy: PracticeSource) -> None:
    (copy.folder / "train.csv").touch()
    PracticeSource(copy.folder, copy.folder / "no mnist", 0).fetch()


def test_another_seed_is_another_competition(practice: PracticeSource, tmp_path: Path) -> None:
    other = PracticeSource(tmp_path / "other", MNIST_FOLDER, 1)
    other.fetch()
    mine, theirs = sums(practice.folder), sums(other.folder)
    assert {name for name in NAMES if mine[name] == theirs[name]} == {"sample_submission.csv"}
    message = "holds the practice competition of PRACTICE_SEED=0, not 1; use one folder per seed"
    with pytest.raises(PipelineError, match=message):
        PracticeSource(practice.folder, MNIST_FOLDER, 1).fetch()
    for seed in (-1, 2**32):
        with pytest.raises(PipelineError, match=f"PRACTICE_SEED: is {seed}; a whole number from"):
            PracticeSource(tmp_path, MNIST_FOLDER, seed)


def test_a_damaged_mnist_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    shutil.copytree(MNIST_FOLDER, folder)
    target = folder / "train-labels-idx1-ubyte.gz"
    whole = target.read_bytes()
    wrong = (folder / "t10k-labels-idx1-ubyte.gz").read_bytes()
    for content, message in (
        (whole[:-2000], "cannot be decompressed"),
        (b"no gzip", "cannot be decompressed"),
        (wrong, "SHA-256 of the content is ff7bcfd416de..., MNIST's is 65a50cbbf4e9..."),
    ):
        target.write_bytes(content)
        with pytest.raises(PipelineError) as caught:
            PracticeSource(tmp_path / "practice", folder, 0).fetch()
        assert f"{target}: {message}" in str(caught.value)
        assert str(caught.value).endswith("restore it with `git checkout -- data/mnist`")


def test_readme_lists_the_checksums_of_every_file() -> None:
    readme = (MNIST_FOLDER / "README.md").read_text()
    for name, raw in mnist.CHECKSUMS.items():
        assert raw in readme
        assert files.sha256(MNIST_FOLDER / f"{name}.gz") in readme
