"""A network in a file of one's own: trained, continued, used for prediction, and exported."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline import networks, recipe
from pipeline.common.errors import PipelineError
from pipeline.common.progress import ignore
from pipeline.networks import registry
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.look import open_views
from pipeline.stages.request import Request
from pipeline.stages.train import train
from tests.commands import REPOSITORY
from tests.test_members import interrupt

OWN = '''
import keras
from keras import layers
from pipeline.networks import Layers, output, register


@keras.saving.register_keras_serializable()
class Doubled(layers.Layer):
    """A layer of one's own."""

    def call(self, inputs):
        return 2.0 * inputs


@register("mine")
def mine(dropout: float = 0.1) -> Layers:
    return [layers.Flatten(), Doubled(), layers.Dense(30, activation="relu"), output()]
'''

RECIPE = """
[network]
name = "mine"
file = "mine.py"
[augmentation]
engine = "none"
[training]
epochs = 2
batch_size = 20
learning_rate = 0.01
[members]
folds = 2
"""


@pytest.fixture(autouse=True)
def forget_own_networks() -> Iterator[None]:
    """Unregister the networks of a test's file afterwards, so that other tests do not see them."""
    yield
    networks.register_file("")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recipe and the network file beside it."""
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "mine.toml").write_text(RECIPE)
    return tmp_path


@pytest.fixture(autouse=True)
def _only_networks_of_the_package() -> Iterator[None]:
    """Remove a test's own networks, which other test files do not expect."""
    yield
    networks.register_file("")


def context(folder: Path, data: Path, executor: str = "serial", run: str = "") -> Context:
    name = "bn_cnn" if run else str(folder / "mine.toml")
    request = Request.parse("train", recipe=name, run=run, source=str(data), executor=executor)
    return Context(folder, request, ignore)


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_network_file_is_trained_and_kept_in_the_run(
    executor: str, folder: Path, small_digits: Path
) -> None:
    run = ensemble(context(folder, small_digits, executor))
    assert run.id.startswith("mine-s0-")
    assert (run.folder / "network.py").read_text() == OWN
    assert run.record.members[0].parameters == 784 * 30 + 30 + 30 * 10 + 10
    stored = run.load_arrays("validation")
    accuracy = (stored["probabilities"].argmax(axis=1) == stored["labels"]).mean()
    assert accuracy > 0.5, "the network has learned nothing"
    test = run.load_arrays("test")["probabilities"]
    # From here on, there is only the run's own copy of the network file.
    (folder / "mine.py").unlink()
    networks.register_file("")
    views = open_views(run.id, root=folder)
    assert "Doubled" in views.parameters()
    assert len(views.export(folder / "exported")) == 3
    request = Request(source=str(small_digits), runs=(run.id,), force=True)
    again = ensemble(Context(folder, request, ignore))
    assert test.shape == (200, 10)
    np.testing.assert_allclose(again.load_arrays("test")["probabilities"], test, atol=1e-6)


def identity(folder: Path, data: Path) -> str:
    return train(context(folder, data)).record.identity


def test_the_identity_depends_on_the_code_in_the_file_and_not_on_its_path(
    folder: Path, small_digits: Path
) -> None:
    first = identity(folder, small_digits)
    (folder / "mine.py").write_text(f"# A comment.\n{OWN}")
    (folder / "mine.py").rename(folder / "moved.py")
    (folder / "mine.toml").write_text(RECIPE.replace("mine.py", "moved.py"))
    assert identity(folder, small_digits) == first
    (folder / "moved.py").write_text(OWN.replace("Dense(30", "Dense(31"))
    assert identity(folder, small_digits) != first


def test_an_interrupted_run_continues_from_its_own_copy(
    folder: Path, small_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, index=0, epochs=1)
        with pytest.raises(KeyboardInterrupt):
            train(context(folder, small_digits))
    (path,) = (folder / "runs").glob("mine-*")
    (folder / "mine.py").write_text("raise SystemError('the file has changed')")
    run = train(context(folder, small_digits, run=path.name))
    assert run.state() == "done"
    assert [member.epochs for member in run.record.members] == [2, 2]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = " + "-" * 5000 + "1", "network.file: nested too deeply; mend the file"),
        ("x = " + "1**" * 5000 + "1", "network.file: nested too deeply; mend the file"),
        ("x = 0x" + "f" * 5000, "network.file: not valid Python (Exceeds the limit (4300 digits"),
        ("x = '\0'", "network.file: not valid Python (source code string cannot contain null"),
        ("x = '\udcff'", "mine.py is not text in UTF-8; mend the file"),
        ("#" * 1_000_001, "mine.py cannot be read: it is longer than 1,000,000 bytes; mend the"),
        ("def mine(:", "network.file, line 1: not valid Python (invalid syntax); mend the file"),
        ("\nraise ValueError('wrong')", "network.file, line 2: ValueError: wrong; mend the file"),
        (OWN.replace('"mine"', '"yours"'), "recipe key network.name is 'mine'; it must be one of"),
        (OWN.replace('"mine"', '"bn_cnn"'), "a network named 'bn_cnn' is registered already"),
        ("raise SystemExit(3)", "network.file, line 1: SystemExit: 3; mend the file"),
        (
            OWN.replace("@keras.saving.register_keras_serializable()\n", ""),
            "network.file: mine cannot be built, saved and loaded again (TypeError: ",
        ),
        (
            OWN.replace("Doubled(),", "layers.Lambda(lambda pixels: 2 * pixels),"),
            "network.file: mine cannot be built, saved and loaded again (ValueError: ",
        ),
        (
            OWN.replace("layers.Flatten(), ", "layers.Conv2D(1, 50), "),
            "network.file: mine cannot be built, saved and loaded again (ValueError: ",
        ),
        (
            OWN.replace(", output()]", ", layers.Dense(7)]"),
            "network mine gives outputs of the shape (7,); (10,) is needed: end with output()",
        ),
    ],
)
def test_a_wrong_file_is_reported_in_one_line_and_leaves_no_run(
    source: str, message: str, folder: Path, small_digits: Path
) -> None:
    (folder / "mine.py").write_text(source, errors="surrogateescape")
    with pytest.raises(PipelineError) as error:
        train(context(folder, small_digits))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not list((folder / "runs").glob("*/run.json"))


def test_a_file_that_is_gone_after_the_check_is_named(folder: Path, small_digits: Path) -> None:
    asked = context(folder, small_digits)
    (folder / "mine.py").unlink()
    with pytest.raises(PipelineError, match=r"mine\.py cannot be read: No such file or directory;"):
        train(asked)


def test_networks_of_an_earlier_file_are_forgotten() -> None:
    networks.register_file(OWN)
    assert "mine" in networks.names()
    networks.register_file(OWN)
    networks.register_file("")
    assert "mine" not in networks.names()
    assert set(registry._OWN_NAMES) == set()


def test_the_documented_example_works(tmp_path: Path, small_digits: Path) -> None:
    """The page docs/recipes.md shows a network file and a recipe for it."""
    page = (REPOSITORY / "docs" / "recipes.md").read_text()
    section = page.split("## Your own network")[1].split("\n## ")[0]
    (source,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (settings,) = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "mine.toml").write_text(settings)
    loaded = recipe.load(str(tmp_path / "mine.toml"), "training.epochs=1")
    request = Request(recipe=loaded, source=str(small_digits), executor="serial")
    run = train(Context(tmp_path, request, ignore))
    assert json.loads((run.folder / "run.json").read_text())["status"] == "done"
