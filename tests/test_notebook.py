"""`make notebook`: a run as a notebook, which runs on its own."""

import os
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from pipeline.common.errors import PipelineError
from pipeline.recipe import as_toml, load, names
from pipeline.stages.context import Context
from pipeline.stages.ensemble import ensemble
from pipeline.stages.notebook import notebook
from pipeline.stages.request import Request

OWN_NETWORK = """
from keras import layers
from pipeline.networks import output, register

@register("tiny")
def tiny():
    return [layers.Flatten(), output()]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, small_digits: Path) -> Path:
    """A folder with one scored run, of a network file of one's own."""
    folder = tmp_path_factory.mktemp("notebook")
    network = folder / "tiny.py"
    network.write_text(OWN_NETWORK)
    settings = f"training.epochs=1 network.file={network} network.name=tiny network.dropout=none"
    request = Request(recipe=load("quick", settings), source=str(small_digits))
    ensemble(Context(folder, request, print))
    return folder


def written(root: Path, *runs: str) -> Path:
    return notebook(Context(root, Request(runs=runs), print))


def test_the_notebook_runs_from_top_to_bottom_on_its_own(
    root: Path, small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(root, "quick")
    working, place = tmp_path / "working", tmp_path / "input" / "competitions"
    for folder in (working, place):
        folder.mkdir(parents=True)
    (place / "digit-recognizer").symlink_to(small_digits)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    content = nbformat.read(path, as_version=4)
    NotebookClient(content, timeout=300, resources={"metadata": {"path": working}}).execute()
    assert [one.name for one in working.iterdir()] == ["submission.csv"]
    here = pd.read_csv(working / "submission.csv")
    assert list(here.columns) == ["ImageId", "Label"]
    assert len(here) == 200
    outputs = [one for cell in content.cells for one in cell.get("outputs", [])]
    pictures = [one for one in outputs if "image/png" in one.get("data", {})]
    assert len(pictures) == 2
    printed = "".join(one.get("text", "") for one in outputs)
    assert "epoch  1/1" in printed
    assert "\x1b" not in printed
    assert "validation accuracy 0." in printed


def test_the_notebook_says_what_it_is(root: Path) -> None:
    content = nbformat.read(written(root, "quick"), as_version=4)
    first, second = content.cells[:2]
    assert first.source.startswith("# Digits with the recipe `quick`")
    assert '[network]\nname = "tiny"\nfile = "network.py"' in second.source
    assert str(root) not in first.source + second.source
    assert os.environ["HOME"] not in path_text(root)


def path_text(root: Path) -> str:
    (path,) = root.glob("runs/*/notebook.ipynb")
    return path.read_text()


def test_what_has_no_notebook_is_told_in_one_line(root: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"RUN is left out; make notebook takes one run"):
        written(root)
    with pytest.raises(PipelineError, match=r"no run begins with it"):
        written(tmp_path, "quick")


@pytest.mark.parametrize("name", names())
def test_a_recipe_as_text_loads_as_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = load(name)
    path = tmp_path / f"{recipe.name}.toml"
    path.write_text(as_toml(recipe))
    assert load(str(path)) == recipe
