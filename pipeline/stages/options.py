"""The options of the commands: the variable of each, its range, and its help.

Every option can also be given as the environment variable of its name, and so as the Makefile
variable.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.stages import look, remove
from pipeline.stages.request import MOST_SEED, check_text, whole_number


def _check(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """Return the value of a text option. Raises PipelineError as `check_text` does."""
    source = context.get_parameter_source(option.name or "")
    if source and source.name != "DEFAULT":  # the default may be empty
        check_text(str(getattr(option, "envvar", "")), value)
    return value


def _folder(value: str | Path) -> Path:
    """Return the value of --root. Raises PipelineError, and BadParameter if it is no folder."""
    check_text("--root", str(value))
    if not os.path.isdir(value):
        raise typer.BadParameter(f"{str(value)!r} is no folder")
    return Path(value)


def _text_option(name: str, text: str, *flags: str) -> Any:
    """Return a text option that the environment variable `name` sets too."""
    return typer.Option(*flags, envvar=name, help=text, callback=_check)


def _flag(name: str, text: str, *flags: str) -> Any:
    """Return an option without a value, which the environment variable `name` sets with 1."""
    return typer.Option(*flags, envvar=name, help=text, callback=_check_flag)


def _check_flag(context: typer.Context, option: typer.CallbackParam, value: bool) -> bool:
    """Return the value. Raises PipelineError for words that make would not take for 1."""
    source = context.get_parameter_source(option.name or "")
    if source and source.name == "ENVIRONMENT":
        refuse_flag(str(getattr(option, "envvar", "")))
    return value


def refuse_flag(name: str) -> None:
    """Raise PipelineError unless the environment variable `name` is 1, 0 or empty."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise PipelineError(f"{name} is {printable(repr(value))}; give 1, or leave it out")


def _number_option(name: str, text: str, least: int, most: int, *flags: str) -> Any:
    """Return an option for a whole number that the environment variable `name` sets too."""
    return typer.Option(
        *flags,
        envvar=name,
        help=text,
        metavar=f"{least}..{most}",
        parser=lambda value: whole_number(name, value, least, most),
    )


Source = Annotated[
    str,
    _text_option(
        "SOURCE",
        "auto (kaggle if credentials are found, else practice), kaggle, practice, mnist "
        "(60,000 and 10,000 digits, not submitted), or a folder with train.csv and test.csv",
    ),
]
RecipeName = Annotated[str, _text_option("RECIPE", "a recipe's name, or the path of a .toml file")]
Seed = Annotated[
    int | None, _number_option("SEED", "random seed, instead of the recipe's", 0, MOST_SEED)
]
Settings = Annotated[
    str, _text_option("SET", 'changed recipe keys: "training.epochs=3 ..."', "--set")
]
PracticeSeed = Annotated[
    int, _number_option("PRACTICE_SEED", "which draw of the practice digits", 0, MOST_SEED)
]
RunNames = Annotated[
    str, _text_option("RUN", "id, or unique beginning, of one run or several", "--run")
]
OneRun = Annotated[str, _text_option("RUN", "id, or unique beginning, of one run", "--run")]
TwoRuns = Annotated[
    str, _text_option("RUN", "ids, or unique beginnings, of two runs to show in depth", "--run")
]
Where = Annotated[
    str,
    _text_option(
        "WHERE", 'only these runs: "recipe=fast,quick status=done seed<3 training.batch_size=64"'
    ),
]
Sort = Annotated[
    str,
    _text_option(
        "SORT",
        "accuracy (left out: this), log_loss, calibration, minutes, public, recipe or newest",
    ),
]
ShowAll = Annotated[bool, _flag("ALL", "every run, and all settings that differ", "--all")]
Force = Annotated[bool, _flag("FORCE", "train or upload again what is done already")]
NoQuestion = Annotated[bool, _flag("FORCE", "do not ask", "--force")]
Also = Annotated[
    str,
    _text_option("ALSO", f"runs that something needs too, as it says: {', '.join(remove.NEEDED)}"),
]
Message = Annotated[str, _text_option("MESSAGE", "text that the competition shows with the CSV")]
Executor = Annotated[
    str,
    _text_option(
        "EXECUTOR",
        "where members are trained: auto, serial, processes (side by side), ray, or kaggle",
    ),
]
KaggleImage = Annotated[
    bool,
    _flag("KAGGLE_IMAGE", "with EXECUTOR=kaggle: use the libraries of Kaggle's image"),
]
TensorBoard = Annotated[
    bool,
    _flag("TENSORBOARD", "write event files for TensorBoard", "--tensorboard"),
]
Seeds = Annotated[
    int,
    _number_option(
        "SEEDS", "random seeds per recipe; in a search, new ones for what was found", 1, 100
    ),
]
Sweep = Annotated[
    str,
    _text_option(
        "SWEEP",
        'values of recipe keys, all of which are tried: "training.learning_rate=0.001,0.003 ..."',
        "--sweep",
    ),
]
Minutes = Annotated[
    int,
    _number_option("MINUTES", "how long to search, with the measurement at the end", 1, 100_000),
]
Vary = Annotated[
    str,
    _text_option(
        "VARY",
        "what to vary, in place of all that the recipe offers: "
        '"training.learning_rate network.dropout=0.1..0.5 training.batch_size=32,64"',
    ),
]
View = Annotated[
    str, _text_option("VIEW", f"one of {', '.join(look.VIEWS)}; left out: all of them")
]
Part = Annotated[str, _text_option("PART", "validation or test rows; left out: what fits the view")]
Start = Annotated[int | None, _number_option("START", "row number of the first digit", 0, 10**6)]
Count = Annotated[int | None, _number_option("COUNT", "number of digits", 1, 1_000)]
RandomSeed = Annotated[
    int | None, _number_option("SEED", "chooses the random digits", 0, MOST_SEED)
]
TrueLabel = Annotated[int | None, _number_option("TRUE", "the label", 0, 9, "--true")]
Predicted = Annotated[int | None, _number_option("PREDICTED", "the prediction", 0, 9)]
Destination = Annotated[Literal["mlflow"], typer.Argument(help="where to: mlflow")]
Json = Annotated[bool, typer.Option("--json", help="print JSON on stdout, all else on stderr")]
Csv = Annotated[bool, typer.Option("--csv", help="print CSV, one line per run")]
Root = Annotated[
    Path,
    typer.Option(
        help="the folder that holds data/, runs/ and submissions/",
        metavar="FOLDER",
        parser=_folder,
    ),
]
