"""What README.md and the Makefile offer is what the commands take."""

import re
from pathlib import Path

import pytest
import typer

from pipeline import recipe
from pipeline.cli import app
from tests.bench.__main__ import BENCHMARKS

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()

SETTINGS = sorted(set(re.findall(r'(?:RECIPE=(\S+)[^`"\n]*)?SET="([^"]+)"', README)))


@pytest.mark.parametrize(("name", "changes"), SETTINGS)
def test_every_setting_shown_can_be_made(name: str, changes: str) -> None:
    if changes != "key=value ...":
        recipe.load(name or "bn_cnn", changes)


def test_every_variable_is_exported_taken_and_told() -> None:
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    taken = {option.envvar for command in commands for option in command.params}
    exported = re.search(r"^export (.*)$", MAKEFILE, re.MULTILINE)
    assert exported
    # Ray's own executor reads its address.
    assert set(exported[1].split()) == {*taken, "RAY_ADDRESS"} - {None}
    (_, variables) = README.split("## Variables")
    table = variables.split("\n\n")[1]
    assert {*exported[1].split(), "BENCH"} == set(re.findall(r"`([A-Z_]+)`[,| ]", table))


def test_every_benchmark_and_recipe_is_told() -> None:
    (told,) = re.findall(r"\| `BENCH` \|.*only some of (.*) \|", README)
    assert re.findall(r"`(\w+)`", told) == list(BENCHMARKS)
    (helped,) = re.findall(r"bench: +BENCH=\"([a-z ]+)\"", MAKEFILE)
    assert helped.split() == list(BENCHMARKS)
    (_, recipes) = README.split("## Recipes")
    names = re.findall(r"^\| `([a-z_]+)`", recipes.split("## Variables")[0], re.MULTILINE)
    assert sorted(names) == sorted(
        one for one in recipe.names() if not one.startswith("tutorials/")
    )
