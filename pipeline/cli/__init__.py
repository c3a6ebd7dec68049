"""The commands of `python -m pipeline`: options in, a stage called, its result printed.

The stages import TensorFlow where they need it. This package never does.
"""

import sys

import typer

# Each module adds its commands to the application.
from pipeline.cli import making, reading  # noqa: F401
from pipeline.cli.app import app
from pipeline.common.errors import LONGEST_MESSAGE, exit_codes
from pipeline.common.provenance import PROGRAM
from pipeline.common.text import printable
from pipeline.stages.options import refuse_flag
from pipeline.stages.printing import print_aside

FLAGS = ("FORCE", "ALL", "KAGGLE_IMAGE", "TENSORBOARD")
"""The variables of options that take no value."""

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line. It exits with 0, 1, 2 or 130; docs/how-it-works.md explains them."""
    with exit_codes():
        try:
            command = typer.main.get_command(app)
            with command.make_context(PROGRAM, sys.argv[1:]) as context:
                command.invoke(context)
        except typer.Exit as ending:  # after --help
            if ending.exit_code:
                raise SystemExit(ending.exit_code) from None
        except typer.BadParameter as error:
            if (name := getattr(error.param, "envvar", None)) in FLAGS:
                refuse_flag(name)
            _refuse(error)
        except typer.TyperException as error:
            _refuse(error)


def _refuse(error: typer.TyperException) -> None:
    """Print what is wrong with the words of the command line in one line, and exit with 2."""
    problem = printable(error.format_message(), LONGEST_MESSAGE).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else PROGRAM
    if problem:  # none where there are no words: the help has been printed
        print_aside(f"error: {problem}; {command} --help lists what is allowed")
    raise SystemExit(2) from None
