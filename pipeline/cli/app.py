"""The command line's application, and what its commands share."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.common.progress import Report
from pipeline.common.provenance import command_as_typed, git_state
from pipeline.stages.context import Context
from pipeline.stages.printing import print_line
from pipeline.stages.request import Request, check_text

HERE = Path()

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        commit = git_state().get("commit", "")
        print_line(f"digit-recognizer-pipeline {__version__}{f' ({commit[:7]})' if commit else ''}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """From a fresh clone to a scored submission for Kaggle's digit-recognizer."""


def context_of(
    stage: str, command: typer.Context, report: Report, own: Sequence[str] = ("as_json",)
) -> Context:
    """Return the context of a stage from the values of its command's options.

    `own` names the options that only the command itself uses.
    """
    options = {key: value for key, value in command.params.items() if key not in own}
    root = options.pop("root")
    variables = [getattr(option, "envvar", None) for option in command.command.params]
    if cluster := os.environ.get("RAY_ADDRESS"):
        check_text("RAY_ADDRESS", cluster)
    typed = command_as_typed(sorted({*filter(None, variables), "RAY_ADDRESS"}))
    return Context(root, Request.parse(stage, command=typed, **options), report)
