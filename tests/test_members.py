"""Folds and seeds: every row is predicted by networks that never saw it, and by all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.data.digits import Digits
from pipeline.data.split import fingerprint, hold_out, k_folds
from pipeline.evaluation import scores
from pipeline.executors import worker
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


def silent(line: str) -> None:
    """Take a line of text."""


def context(
    root: Path, data: Path | str, settings: str = FOLDED, *runs: str, force: bool = False
) -> Context:
    chosen = recipe.load("mlp_50", settings)
    request = Request(recipe=chosen, source=str(data), runs=runs, force=force, executor="serial")
    return Context(root, request, silent)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(scope="module")
def trained_on(small_digits: Path, root: Path) -> tuple[Run, dict[int, set[bytes]]]:
    """A run of three folds and two seeds, and the images that each member trained on."""
    seen: dict[int, set[bytes]] = {}
    original: Callable[..., None] = loop.train_member

    def noting(
        settings: Recipe, member: Member, rows: Digits, validation: Digits, **others: Any
    ) -> None:
        seen[member.index] = {image.tobytes() for image in rows.images}
        original(settings, member, rows, validation, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "train_member", noting)
        return ensemble(context(root, small_digits)), seen


def test_no_row_is_predicted_by_a_member_trained_on_it(
    trained_on: tuple[Run, dict[int, set[bytes]]], small_digits: Path
) -> None:
    run, seen = trained_on
    table = pd.read_csv(small_digits / "train.csv").to_numpy(np.uint8)
    images = table[:, 1:].reshape(-1, 28, 28, 1)
    assert [(one.index, one.fold) for one in run.record.members] == list(
        zip(range(6), [0, 1, 2, 0, 1, 2], strict=True)
    )
    stored = run.load_arrays("validation")
    np.testing.assert_array_equal(stored["rows"], np.arange(600))
    np.testing.assert_array_equal(stored["labels"], table[:, 0])
    expected = np.zeros((600, 10))
    for row, image in enumerate(images):
        unseen = [index for index, rows in seen.items() if image.tobytes() not in rows]
        assert len(unseen) == 2, "two seeds of one fold"
        expected[row] = np.mean([predicted(run, index)[row] for index in unseen], axis=0)
    np.testing.assert_allclose(stored["probabilities"], expected, atol=1e-5)
    assert run.record.scores is not None
    assert run.record.scores.validation_rows == 600


_PREDICTED: dict[int, np.ndarray] = {}


def predicted(run: Run, index: int) -> np.ndarray:
    """The mean probabilities of a member's checkpoints for all labelled rows, by Keras alone."""
    if index not in _PREDICTED:
        table = pd.read_csv(Path(run.record.source) / "train.csv").to_numpy(np.float32)
        images = table[:, 1:].reshape(-1, 28, 28, 1) / 255
        paths = run.checkpoint_paths(run.record.members[index])
        assert len(paths) == 2
        networks = [keras.saving.load_model(path, compile=False) for path in paths]
        _PREDICTED[index] = np.mean([network(images).numpy() for network in networks], axis=0)
    return _PREDICTED[index]


def test_all_members_predict_the_test_rows(
    trained_on: tuple[Run, dict[int, set[bytes]]], small_digits: Path
) -> None:
    run, _ = trained_on
    images = pd.read_csv(small_digits / "test.csv").to_numpy(np.float32).reshape(-1, 28, 28, 1)
    networks = [keras.saving.load_model(path, compile=False) for path in run.checkpoint_paths()]
    assert len(networks) == 12
    expected = np.mean([network(images / 255).numpy() for network in networks], axis=0)
    np.testing.assert_allclose(run.load_arrays("test")["probabilities"], expected, atol=1e-5)


def test_seeds_of_one_fold_differ(trained_on: tuple[Run, dict[int, set[bytes]]]) -> None:
    run, seen = trained_on
    assert seen[0] == seen[3] != seen[1]
    assert not np.array_equal(predicted(run, 0), predicted(run, 3))


def interrupt(patch: pytest.MonkeyPatch, index: int, epochs: int) -> list[int]:
    """Have Ctrl-C come once, when a member has come so far; return whose training begins."""
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


def test_a_run_goes_on_with_the_members_that_are_not_done(
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
    assert [one.status for one in named.record.members] == ["done"] * 6
    assert train(context(tmp_path, small_digits)).id == named.id
    assert len(begun) == 8


def test_force_trains_again_and_goes_on_with_that(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(force: bool) -> Run:
        return train(context(tmp_path, small_digits, "training.epochs=2", force=force))

    first = once(force=False)
    with monkeypatch.context() as patch:
        interrupt(patch, index=0, epochs=1)
        with pytest.raises(KeyboardInterrupt):
            once(force=True)
    second = once(force=True)
    assert (second.id, second.state()) == (f"{first.id}-2", "done")
    history = pd.read_csv(second.member_folder(0) / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2
    assert once(force=True).id == f"{first.id}-3"
    assert once(force=False).id == f"{first.id}-3"


def test_a_folder_may_be_below_the_home_folder(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(small_digits.parent))
    run = train(context(tmp_path, f"~/{small_digits.name}", "training.epochs=1"))
    assert run.record.source == str(small_digits.resolve())


def test_scores_of_a_run_that_went_on_are_made_anew(
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


def test_an_average_that_was_cut_off_is_gone_on_with(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "training.epochs=1 seed={}"
    names = [ensemble(context(tmp_path, small_digits, settings.format(seed))).id for seed in (0, 1)]

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scores, "log_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            ensemble(context(tmp_path, small_digits, settings.format(0), *names))
    (begun,) = (tmp_path / "runs").glob("ensemble-*")
    assert RunStore(tmp_path / "runs").find(begun.name).state() == "interrupted"
    made = ensemble(context(tmp_path, small_digits, settings.format(0), *names))
    assert (made.folder, made.state()) == (begun, "done")
    assert made.record.scores


def test_a_run_of_other_code_is_not_continued(
    small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, index=0, epochs=0)
    with pytest.raises(KeyboardInterrupt):
        train(context(tmp_path, small_digits))
    (folder,) = (tmp_path / "runs").glob("mlp_50-*")
    monkeypatch.setattr("pipeline.stages.train.code_fingerprint", lambda *_: "other")
    with pytest.raises(PipelineError, match=r"was begun with other data, code or library versions"):
        train(context(tmp_path, small_digits, FOLDED, folder.name))


def test_folds_are_those_of_scikit_learn_and_cover_every_row_once(labelled: Digits) -> None:
    made = k_folds(labelled.labels, 5, 7, "d" * 64)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([split.validation_rows for split in made])), np.arange(800)
    )
    for split in made:
        both = np.concatenate([split.train_rows, split.validation_rows])
        np.testing.assert_array_equal(np.sort(both), np.arange(800))
        counts = np.bincount(labelled.labels[split.validation_rows], minlength=10)
        assert np.abs(counts - np.bincount(labelled.labels, minlength=10) / 5).max() <= 1
    again = k_folds(labelled.labels, 5, 7, "d" * 64)
    assert fingerprint(made) == fingerprint(again)
    others = [k_folds(labelled.labels, 5, 8, "d" * 64), k_folds(labelled.labels, 4, 7, "d" * 64)]
    assert len({fingerprint(made), *(fingerprint(other) for other in others)}) == 3
    one = hold_out(labelled.labels, 0.2, 0, "d" * 64)
    assert fingerprint([one]) == one.fingerprint


@pytest.mark.parametrize("folds", [1, 70])
def test_a_number_of_folds_that_cannot_be_is_refused(folds: int, labelled: Digits) -> None:
    with pytest.raises(PipelineError, match=rf"members.folds: is {folds}; 2 to \d+ are allowed"):
        k_folds(labelled.labels[:600], folds, 0, "d" * 64)
