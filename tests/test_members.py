"""Folds and seeds: validation rows are predicted by members not trained on them, test rows by all.

Also: how a run with several members is stopped, continued and trained again.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold, train_test_split

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.common.progress import ignore
from pipeline.data.digits import Digits
from pipeline.data.split import fingerprint, hold_out, k_folds
from pipeline.evaluation import scores
from pipeline.executors import serial
from pipeline.executors.recorder import Recorder
from pipeline.recipe import Recipe
from pipeline.runs import Member, Run, RunStore
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.request import Request
from pipeline.stages.train import train
from pipeline.training import loop

FOLDED = (
    "members.folds=3 members.seeds=2 training.epochs=2 checkpoints.keep_last=2 "
    "prediction.precision=float32"
)


def context(
    root: Path, data: Path | str, settings: str = FOLDED, *runs: str, force: bool = False
) -> Context:
    """Return the context of a request for `settings` of mlp_50, or for `runs`, in `root`."""
    request = Request(
        recipe=recipe.load("mlp_50", settings),
        source=str(data),
        runs=runs,
        force=force,
        executor="serial",
        command=f"train {' '.join(runs) or 'anew'}",
    )
    return Context(root, request, ignore)


@pytest.fixture(scope="module")
def run_and_images(
    small_digits: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, dict[int, set[bytes]]]:
    """A run of three folds and two seeds, and the images that each member trained on."""
    trained_on: dict[int, set[bytes]] = {}
    original: Callable[..., None] = loop.train_member

    def note_images(
        settings: Recipe, member: Member, rows: Digits, validation: Digits, **others: Any
    ) -> None:
        trained_on[member.index] = {image.tobytes() for image in rows.images}
        original(settings, member, rows, validation, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serial, "train_member", note_images)
        return ensemble(context(tmp_path_factory.mktemp("folds"), small_digits)), trained_on


def test_no_row_is_predicted_by_a_member_trained_on_it(
    run_and_images: tuple[Run, dict[int, set[bytes]]], small_digits: Path
) -> None:
    run, trained_on = run_and_images
    table = pd.read_csv(small_digits / "train.csv").to_numpy(np.uint8)
    images = table[:, 1:].reshape(-1, 28, 28, 1)
    assert [(member.index, member.fold) for member in run.record.members] == list(
        zip(range(6), [0, 1, 2, 0, 1, 2], strict=True)
    )
    stored = run.load_arrays("validation")
    np.testing.assert_array_equal(stored["rows"], np.arange(600))
    np.testing.assert_array_equal(stored["labels"], table[:, 0])
    expected = np.zeros((600, 10))
    for row, image in enumerate(images):
        unseen = [index for index, seen in trained_on.items() if image.tobytes() not in seen]
        assert len(unseen) == 2, "two seeds of one fold"
        expected[row] = np.mean([predictions(run, index)[row] for index in unseen], axis=0)
    np.testing.assert_allclose(stored["probabilities"], expected, atol=1e-5)
    assert run.record.scores is not None
    assert run.record.scores.validation_rows == 600


@cache
def predictions(run: Run, index: int) -> np.ndarray:
    """Return a member's mean probabilities for all labelled rows, computed by Keras alone."""
    table = pd.read_csv(Path(run.record.source) / "train.csv").to_numpy(np.float32)
    images = table[:, 1:].reshape(-1, 28, 28, 1) / 255
    paths = run.checkpoint_paths(run.record.members[index])
    assert len(paths) == 2
    networks = [keras.saving.load_model(path, compile=False) for path in paths]
    return np.asarray(np.mean([network(images).numpy() for network in networks], axis=0))


def test_each_hold_out_has_its_own_rows_and_a_row_held_out_twice_has_the_mean(
    small_digits: Path, tmp_path: Path
) -> None:
    settings = "members.hold_outs=3 members.seeds=2 split.validation_fraction=0.5 split.seed=7"
    run = ensemble(
        context(
            tmp_path, small_digits, f"{settings} training.epochs=2 prediction.precision=float32"
        )
    )
    table = pd.read_csv(small_digits / "train.csv").to_numpy(np.uint8)
    held_out = [
        train_test_split(np.arange(600), test_size=0.5, random_state=seed, stratify=table[:, 0])[1]
        for seed in (7, 8, 9)
    ]
    networks = [keras.saving.load_model(path, compile=False) for path in run.checkpoint_paths()]
    total, count = np.zeros((600, 10)), np.zeros((600, 1))
    for member, network in zip(run.record.members, networks, strict=True):
        rows = held_out[member.fold]
        total[rows] += network(table[rows, 1:].reshape(-1, 28, 28, 1) / np.float32(255)).numpy()
        count[rows] += 1
    stored, seen = run.load_arrays("validation"), np.flatnonzero(count)
    assert 450 < len(seen) < 600, "some rows are in no hold-out"
    np.testing.assert_array_equal(stored["rows"], seen)
    np.testing.assert_allclose(stored["probabilities"], total[seen] / count[seen], atol=1e-5)


def test_all_members_predict_the_test_rows(
    run_and_images: tuple[Run, dict[int, set[bytes]]], small_digits: Path
) -> None:
    run, _ = run_and_images
    images = pd.read_csv(small_digits / "test.csv").to_numpy(np.float32).reshape(-1, 28, 28, 1)
    networks = [keras.saving.load_model(path, compile=False) for path in run.checkpoint_paths()]
    assert len(networks) == 12
    expected = np.mean([network(images / 255).numpy() for network in networks], axis=0)
    np.testing.assert_allclose(run.load_arrays("test")["probabilities"], expected, atol=1e-5)


def test_two_members_of_one_fold_differ(
    run_and_images: tuple[Run, dict[int, set[bytes]]],
) -> None:
    run, trained_on = run_and_images
    assert trained_on[0] == trained_on[3] != trained_on[1]
    assert not np.array_equal(predictions(run, 0), predictions(run, 3))


def interrupt(patch: pytest.MonkeyPatch, index: int, epochs: int) -> list[int]:
    """Raise KeyboardInterrupt once, when the member of `index` has finished `epochs` epochs.

    Returns a list to which every member's index is added when its training begins, and -1 at the
    interrupt.
    """
    original: Callable[..., None] = Recorder._update
    begun: list[int] = []

    def record_and_stop(self: Recorder, member: Member) -> None:
        original(self, member)
        if member.index not in begun[-1:]:
            begun.append(member.index)
        if (member.index, member.epochs) == (index, epochs) and begun.count(index) == 1:
            begun.append(-1)
            raise KeyboardInterrupt

    patch.setattr(Recorder, "_update", record_and_stop)
    return begun


def test_a_run_continues_with_the_members_that_are_not_done(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = interrupt(monkeypatch, index=1, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        train(context(tmp_path, small_digits))
    (folder,) = (tmp_path / "runs").glob("mlp_50-*")
    with pytest.raises(PipelineError, match=r"no checkpoint yet for fold 3 of 3; make train RUN="):
        ensemble(context(tmp_path, small_digits, FOLDED, folder.name))
    named = train(context(tmp_path, small_digits, FOLDED, folder.name))
    assert begun == [0, 1, -1, 1, 2, 3, 4, 5]
    assert named.state() == "done"
    assert [member.status for member in named.record.members] == ["done"] * 6
    assert train(context(tmp_path, small_digits)).id == named.id
    assert len(begun) == 8


def test_force_trains_a_new_run_and_continues_that_one(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_once(force: bool) -> Run:
        return train(context(tmp_path, small_digits, "training.epochs=2", force=force))

    first = train_once(force=False)
    with monkeypatch.context() as patch:
        interrupt(patch, index=0, epochs=1)
        with pytest.raises(KeyboardInterrupt):
            train_once(force=True)
    second = train_once(force=True)
    assert (second.id, second.state()) == (f"{first.id}-2", "done")
    history = pd.read_csv(second.member_folder(0) / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2
    assert train_once(force=True).id == f"{first.id}-3"
    assert train_once(force=False).id == f"{first.id}-3"


def test_a_source_may_begin_with_the_home_folder(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(small_digits.parent))
    run = train(context(tmp_path, f"~/{small_digits.name}", "training.epochs=1"))
    assert run.record.source == str(small_digits.resolve())


def test_a_continued_run_is_scored_again(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "training.epochs=3 training.learning_rate=0.1"
    with monkeypatch.context() as patch:
        interrupt(patch, index=0, epochs=2)
        with pytest.raises(KeyboardInterrupt):
            train(context(tmp_path, small_digits, settings))
    (folder,) = (tmp_path / "runs").glob("mlp_50-*")
    early = ensemble(context(tmp_path, small_digits, settings, folder.name))
    assert early.state() == "interrupted"
    before = early.load_arrays("test")["probabilities"]
    done = ensemble(context(tmp_path, small_digits, settings))
    assert (done.id, done.state()) == (early.id, "done")
    assert not np.array_equal(done.load_arrays("test")["probabilities"], before)
    (checkpoint,) = done.checkpoint_paths()
    assert checkpoint.name.startswith("epoch-003")


def test_an_interrupted_average_is_continued(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "training.epochs=1 seed={}"
    names = [ensemble(context(tmp_path, small_digits, settings.format(seed))).id for seed in (0, 1)]

    def interrupt_scoring(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scores, "log_loss", interrupt_scoring)
        with pytest.raises(KeyboardInterrupt):
            ensemble(context(tmp_path, small_digits, settings.format(0), *names))
    (folder,) = (tmp_path / "runs").glob("ensemble-*")
    assert RunStore(tmp_path / "runs").find(folder.name).state() == "interrupted"
    finished = ensemble(context(tmp_path, small_digits, settings.format(0), *names))
    assert (finished.folder, finished.state()) == (folder, "done")
    assert finished.record.scores


def test_a_run_that_began_with_other_code_is_not_continued(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: tuple[str, ...] = ()
    for _ in range(2):  # the second command only continues the run
        with monkeypatch.context() as patch:
            interrupt(patch, index=0, epochs=0)
            with pytest.raises(KeyboardInterrupt):
                train(context(tmp_path, small_digits, FOLDED, *names))
        (folder,) = (tmp_path / "runs").glob("mlp_50-*")
        names = (folder.name,)
    monkeypatch.setattr("pipeline.stages.train.code_fingerprint", lambda *_: "other")
    message = r"was begun with other data, code or library versions.* train it anew \(train anew\)"
    with pytest.raises(PipelineError, match=message):
        train(context(tmp_path, small_digits, FOLDED, *names))


def test_folds_are_those_of_scikit_learn_and_cover_every_row_once(labelled: Digits) -> None:
    labels, data = labelled.labels, "d" * 64
    folds = k_folds(labels, 5, 7, data)
    expected = StratifiedKFold(5, shuffle=True, random_state=7).split(labels, labels)
    for split, (train_rows, validation_rows) in zip(folds, expected, strict=True):
        np.testing.assert_array_equal(split.train_rows, train_rows)
        np.testing.assert_array_equal(split.validation_rows, validation_rows)
        both = np.concatenate([split.train_rows, split.validation_rows])
        np.testing.assert_array_equal(np.sort(both), np.arange(800))
        counts = np.bincount(labels[split.validation_rows], minlength=10)
        assert np.abs(counts - np.bincount(labels, minlength=10) / 5).max() <= 1
    np.testing.assert_array_equal(
        np.sort(np.concatenate([split.validation_rows for split in folds])), np.arange(800)
    )


def test_the_fingerprint_of_folds_identifies_them(labelled: Digits) -> None:
    labels, data = labelled.labels, "d" * 64
    settings = [(5, 7), (5, 8), (4, 7)]
    prints = [fingerprint(k_folds(labels, folds, seed, data)) for folds, seed in settings]
    assert len(set(prints)) == 3
    assert fingerprint(k_folds(labels, 5, 7, data)) == prints[0]
    split = hold_out(labels, 0.2, 0, data)
    assert fingerprint([split]) == split.fingerprint


@pytest.mark.parametrize("folds", [1, 70])
def test_an_impossible_number_of_folds_is_refused(folds: int, labelled: Digits) -> None:
    with pytest.raises(PipelineError, match=rf"members.folds: is {folds}; 2 to \d+ are allowed"):
        k_folds(labelled.labels[:600], folds, 0, "d" * 64)
