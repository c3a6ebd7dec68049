"""Files of a run that differ from what run.json records: made again where they can be, else named.

The runs are trained on real digits. Each test damages a copy of them.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.common.progress import RunProgress, ignore
from pipeline.evaluation import png_files
from pipeline.executors.recorder import Recorder
from pipeline.runs import Member, Run, RunStore
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.look import LookOptions, look
from pipeline.stages.request import Request
from pipeline.stages.submission import write_submission
from pipeline.training.events import Began
from tests.alone import training_record


@pytest.fixture(scope="module")
def original(small_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two trained runs, their average, and the submission of each."""
    root = tmp_path_factory.mktemp("whole")
    names = []
    for seed in (0, 1):
        settings = recipe.load("mlp_50", f"training.epochs=2 seed={seed}")
        request = Request(recipe=settings, source=str(small_digits), executor="serial")
        names.append(write_submission(Context(root, request, ignore))[0].id)
    write_submission(Context(root, Request(runs=tuple(names)), ignore))
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    """A copy of `original` to damage."""
    return shutil.copytree(original, tmp_path / "copy")


def only(root: Path, pattern: str) -> Run:
    (path,) = root.glob(f"runs/{pattern}")
    return RunStore(path.parent).get(path.name)


def submit_again(root: Path, run: Run, force: bool = False) -> list[str]:
    """Write the submission of a run again, if need be, and return the lines that are printed."""
    lines: list[str] = []
    write_submission(Context(root, Request(runs=(run.id,), force=force), lines.append))
    return lines


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def exchange(path: Path) -> None:
    """Write other arrays as a process does that is killed before it writes run.json."""
    run = RunStore(path.parents[1]).get(path.parent.name)
    arrays = run.load_arrays(path.stem)
    arrays["probabilities"] = arrays["probabilities"][::-1]
    run.save_arrays(path.stem, **arrays)


def test_the_record_has_the_checksums_of_what_is_there(original: Path) -> None:
    run = only(original, "mlp_50-s0-*")
    (checkpoint,) = run.checkpoint_paths()
    assert checkpoint.name.startswith("epoch-002"), "the checksum of epoch 1 must be gone"
    names = {f"members/0/checkpoints/{checkpoint.name}", "validation.npz", "test.npz"}
    assert set(run.record.sha256) == names


@pytest.mark.parametrize("kind", ["mlp_50-s0-*", "ensemble-*"])
@pytest.mark.parametrize(
    ("damage", "name"),
    [(flip, "test"), (exchange, "test"), (cut, "validation"), (Path.unlink, "validation")],
)
def test_damaged_probabilities_are_made_again(
    damage: Callable[[Path], None], name: str, kind: str, root: Path
) -> None:
    run = only(root, kind)
    before, record = run.load_arrays(name), run.record.scores
    path = run.folder / f"{name}.npz"
    damage(path)
    problem = "is missing" if damage is Path.unlink else "differs from what run.json records"
    origin = "the runs that it averages" if run.record.parents else "the checkpoints"
    assert f"{path} {problem}: made again from {origin}" in submit_again(root, run)
    again = only(root, kind)
    for key, array in again.load_arrays(name).items():
        np.testing.assert_array_equal(array, before[key])
    assert again.record.scores == record
    assert not any("made again" in line for line in submit_again(root, run))


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_damaged_pictures_are_drawn_again(damage: Callable[[Path], None], root: Path) -> None:
    run = only(root, "mlp_50-s0-*")
    pictures = [run.folder / "mistakes.png", run.folder / "members" / "0" / "curves.png"]
    heatmap = root / "submissions" / f"{run.id}.png"
    for path in (*pictures, heatmap):
        damage(path)
    lines = submit_again(root, run)
    assert f"drawing again what is missing or damaged: {pictures[1]}, {pictures[0]}" in lines
    assert lines[-1].endswith(f" and {heatmap}")
    assert all(map(png_files.is_whole, (*pictures, heatmap)))
    assert submit_again(root, run)[-1].endswith(".csv is written already")


@pytest.mark.parametrize(("damage", "problem"), [(flip, "differs from"), (Path.unlink, "is miss")])
def test_a_damaged_checkpoint_is_named_and_loses_nothing_else(
    damage: Callable[[Path], None], problem: str, root: Path
) -> None:
    run = only(root, "mlp_50-s0-*")
    (checkpoint,) = run.checkpoint_paths()
    damage(checkpoint)
    record = (run.folder / "run.json").read_bytes()
    submit_again(root, run)  # the stored probabilities are enough
    (run.folder / "test.npz").unlink()
    with pytest.raises(PipelineError, match=rf"{checkpoint} {problem}.* cannot be made again; bri"):
        submit_again(root, run)
    assert (run.folder / "run.json").read_bytes() == record
    assert (run.folder / "validation.npz").exists()


@pytest.mark.parametrize(
    "content",
    ["", "\0\x1b", "epoch\n1\n", "epoch,loss\nnan,inf\n", "a,b\n1\n1,2,3\n", '"', None],
)
def test_a_damaged_history_costs_only_its_picture(content: str | None, root: Path) -> None:
    run = only(root, "mlp_50-s0-*")
    history = run.member_folder(0) / "history.csv"
    history.unlink()
    if content is None:
        history.mkdir()
    else:
        history.write_text(content)
    lines = submit_again(root, run, force=True)
    (line,) = [line for line in lines if line.startswith("no learning curves: ")]
    assert f"{history} cannot be drawn (" in line
    assert line.isprintable()
    lines = []
    look(Context(root, Request(runs=(run.id,)), lines.append), LookOptions())
    assert any(line.startswith(f"none: {history} cannot be drawn") for line in lines)
    assert lines[-1].startswith("checked: "), "the other views are shown"


def rewrite(run: Run, **values: object) -> None:
    path = run.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_run_of_version_2_has_nothing_to_compare_and_is_read(root: Path) -> None:
    run = only(root, "mlp_50-s0-*")
    tree = json.loads((run.folder / "run.json").read_text())
    del tree["sha256"]
    (run.folder / "run.json").write_text(json.dumps({**tree, "schema_version": 2}))
    assert submit_again(root, run)[-1].endswith("is written already")
    old = only(root, "mlp_50-s0-*")
    old.save_arrays("test", **{key: one[:-1] for key, one in old.load_arrays("test").items()})
    with pytest.raises(PipelineError, match=r"test\.npz has 199 rows, but test\.csv has 200; make"):
        submit_again(root, run)
    submit_again(root, run, force=True)
    assert len(only(root, "mlp_50-s0-*").load_arrays("test")["rows"]) == 200


def test_an_average_without_its_runs_is_reported(root: Path) -> None:
    average = only(root, "ensemble-*")
    first, second = average.record.parents
    rewrite(average, scores=None)
    rewrite(only(root, first), scores=None, kind="average", parents=[average.id])
    with pytest.raises(PipelineError, match=r"run\.json is not a run record \(.*recipe"):
        submit_again(root, average)
    rewrite(average, parents=[average.id])
    with pytest.raises(PipelineError, match=rf"averages itself \({average.id} of {average.id}\)"):
        submit_again(root, average)
    rewrite(average, parents=[second, "gone"])
    with pytest.raises(PipelineError, match=r"gone/run\.json is not a run record \(No such file"):
        submit_again(root, average)


def test_a_damaged_run_costs_no_other_one(root: Path, small_digits: Path) -> None:
    run = only(root, "mlp_50-s1-*")
    (run.folder / "run.json").write_text("{")
    settings = recipe.load("mlp_50", "training.epochs=2 seed=0")
    lines: list[str] = []
    request = Request(recipe=settings, source=str(small_digits), executor="serial")
    found = ensemble(Context(root, request, lines.append))
    assert f"run {found.id} is trained already; FORCE=1 trains it again" in lines
    (warning,) = [line for line in lines if "left out" in line]
    assert f"{run.folder / 'run.json'} is not a run record" in warning


def test_a_new_attempt_begins_without_the_files_of_the_one_that_diverged(store: RunStore) -> None:
    member = Member(index=0, seed=0, attempt=1, status="pending")
    run = store.create(training_record(members=[member]))
    folder = run.member_folder(0)
    folder.mkdir(parents=True)
    for name in ("history.csv", "resume.npz", "curves.png"):
        (folder / name).write_text("old")
    assert png_files.curve_files(run) == {}
    with RunProgress(ignore, 1, 3, {0: 0}) as progress:
        Recorder(run, progress, ignore).on_event(Began(0, member, 10, {}))
    assert list(folder.iterdir()) == []
