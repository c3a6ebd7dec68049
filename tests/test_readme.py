"""What README.md and the Makefile offer is what the commands take."""

import re
from pathlib import Path

import pytest
import typer

from pipeline import recipe
from pipeline.cli import app

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()

SETTINGS = sorted(set(re.findall(r'(?:RECIPE=(\S+)[^`"\n]*)?SET="([^"]+)"', README)))
PLACEHOLDERS = {"<precision>": "float32"}


@pytest.mark.parametrize(("name", "changes"), SETTINGS)
def test_every_setting_shown_can_be_made(name: str, changes: str) -> None:
    for placeholder, value in PLACEHOLDERS.items():
        changes = changes.replace(placeholder, value)
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
