"""The rooms of the package and the one direction of imports between them."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.provenance import SHAPING_MODULES

PACKAGE = Path(__file__).parents[1] / "pipeline"

LAYERS = (
    ("pipeline", "errors", "checks", "competition"),
    (
        "failures",
        "files",
        "progress",
        "quiet",
        "provenance",
        "recipe",
        "augment",
        "fast_layers",
        "folding",
        "csv_rows",
        "nvidia",
    ),
    ("mnist", "networks", "hardware", "runs", "digits", "submission", "kaggle", "tables"),
    (
        "plan",
        "split",
        "dataset",
        "practice",
        "callbacks",
        "compiling",
        "scores",
        "ledger",
        "layer_table",
        "prediction",
    ),
    ("resume", "ensemble", "averaging", "plots", "sources"),
    ("training",),
    ("members", "compare", "baselines", "pictures", "exports", "doctor"),
    ("views", "compare_table"),
    ("report",),
    ("stages",),
    ("cli",),
    ("__main__",),
)
"""A module imports from its own layer's packages and the layers above it in this list only."""

FORBIDDEN = {
    "recipe": {"tensorflow", "numpy", "pandas"},
    "scores": {"pandas", "matplotlib", "pipeline.runs", "pipeline.digits"},
    "plots": {"pipeline.runs", "pipeline.digits"},
    "augment": {"pipeline"},
    "runs": {"pipeline.recipe", "pipeline.digits", "pipeline.split"},
}
"""What single rooms must not know besides: settings, pure functions and pictures stay such."""

WITHOUT_TENSORFLOW = {
    "cli",
    "compare",
    "report",
    "doctor",
    "stages",
    "sources",
    "runs",
    "ledger",
    "kaggle",
}


def room(module: str) -> str:
    """The first name below `pipeline`, or `pipeline` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """Every module that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module in ("pipeline", "pipeline.kaggle", "pipeline.practice"):
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def layer_of(name: str) -> int:
    (found,) = [number for number, layer in enumerate(LAYERS) if room(name) in layer]
    return found


@pytest.mark.parametrize("name", modules())
def test_imports_run_one_way(name: str) -> None:
    known = modules()
    for imported in imports(modules()[name]):
        if imported not in known or room(imported) == "pipeline":
            continue
        if room(imported) != room(name):
            assert layer_of(imported) < layer_of(name), f"{name} imports {imported}"


@pytest.mark.parametrize("name", FORBIDDEN)
def test_rooms_do_not_know_more_than_they_should(name: str) -> None:
    found = set().union(*(imports(path) for one, path in modules().items() if room(one) == name))
    allowed = {"pipeline", "pipeline.errors", "pipeline.files", "pipeline.scores"}
    for forbidden in FORBIDDEN[name]:
        clashes = {one for one in found - allowed if f"{one}.".startswith(f"{forbidden}.")}
        assert not clashes


HARMLESS = {
    "errors": "messages",
    "progress": "messages",
    "files": "how files are written",
    "csv_rows": "messages about damaged rows",
    "competition": "names and numbers of rows, which are checked",
    "recipe": "settings, which a run's identity holds themselves",
    "runs": "the record",
    "quiet": "messages",
    "provenance": "what a run records of itself, and is told apart by",
}
"""Modules that training and prediction use without their deciding a number, and why."""


def test_every_module_that_decides_numbers_is_in_the_code_fingerprint() -> None:
    known = modules()
    rooms, reached = {"dataset", "plan", "split", "members", "ensemble"}, set[str]()
    while rooms - reached:
        reached |= rooms
        rooms = {
            room(imported)
            for name, path in known.items()
            if room(name) in reached
            for imported in imports(path)
            if imported in known
        }
    assert reached - {"pipeline"} == set(SHAPING_MODULES) | HARMLESS.keys()


def test_every_package_and_recipe_is_installed() -> None:
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent for path in PACKAGE.rglob("__init__.py")}
    assert settings["packages"] == sorted(
        ".".join(folder.relative_to(PACKAGE.parent).parts) for folder in folders
    )
    patterns = settings["package-data"]["pipeline"]
    found = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    assert found == set(PACKAGE.rglob("*.toml"))


def test_the_command_line_starts_without_tensorflow() -> None:
    names = sorted(name for name in modules() if room(name) in WITHOUT_TENSORFLOW)
    # A worker process imports these before it can keep TensorFlow's greetings to itself.
    names += [f"pipeline.members.{name}" for name in ("crew", "processes", "ray_tasks")]
    code = f"import sys, {', '.join(names)}; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
