"""What is imported when, and what is installed; `make lint` holds the direction of imports."""

import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "pipeline"

WITHOUT_TENSORFLOW = ("cli", "common", "recipe", "runs", "data", "competitions", "stages")
"""Rooms that every command imports, those that train nothing too."""

WORKERS = ("executors.queue", "executors.processes", "executors.ray")
"""A worker process imports these before it can keep TensorFlow's greetings to itself."""


def modules(room: str) -> list[str]:
    """Return the dotted names of a room's modules, or of the module of that name."""
    paths = [*(PACKAGE / room).rglob("*.py")] or [PACKAGE / f"{room}.py"]
    names = (".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in paths)
    return sorted(name.removesuffix(".__init__") for name in names)


def test_the_command_line_starts_without_tensorflow() -> None:
    names = [name for room in WITHOUT_TENSORFLOW for name in modules(room)]
    names += modules("evaluation/comparison")
    names += [f"pipeline.{name}" for name in (*WORKERS, "evaluation.report")]
    code = f"import sys, {', '.join(names)}; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_every_recipe_and_template_is_installed() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["pipeline"]
    found = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    others = {path for path in PACKAGE.rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert found == others
