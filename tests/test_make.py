"""The real make and Makefile, with a stand-in for .venv's Python, so that nothing is installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.evaluation.comparison.order import ORDERS
from pipeline.executors.plan import EXECUTORS
from pipeline.recipe.keys import SETTINGS
from pipeline.recipe.spelling import keys_of_tables, known_words
from pipeline.stages.look import PARTS, VIEWS
from tests.commands import REPOSITORY, variables_of_targets

NOTE_CALL = f"""#!{sys.executable}
import json, os, sys
with open("called.json", "w") as file:
    json.dump([sys.argv[1:], dict(os.environ)], file)
"""
COPIED = ["Makefile", "pipeline/recipe/schema.py", "pipeline/recipe/spelling.py"]
COPIED += ["pipeline/executors/plan.py", "pipeline/stages/look.py", "pipeline/recipes/fast.toml"]
COPIED += ["pipeline/recipes/tutorials/mlp_50.toml", "pipeline/evaluation/comparison/order.py"]
COPIED += [path.name for path in REPOSITORY.glob("requirements*.lock")]
MAKE = shutil.which("make") or "make"
KNOWN = set().union({"PYTHON"}, *variables_of_targets().values())


class Checkout:
    """A copy of the Makefile in `folder`. Its .venv is ready, and notes how it is called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
        python = folder / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(NOTE_CALL)
        python.chmod(0o755)
        for lock in folder.glob("*.lock"):
            (folder / ".venv" / f".installed-{lock.name}").touch()

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in KNOWN and not name.startswith(("MAKE", "MFLAGS"))
        }
        return subprocess.run(
            [MAKE, *arguments],
            cwd=self.folder,
            env={**kept, **variables},
            capture_output=True,
            text=True,
            errors="surrogateescape",
        )

    def called(self) -> tuple[list[str], dict[str, str]]:
        """Return the arguments and the variables of the last call of .venv's Python."""
        arguments, variables = json.loads((self.folder / "called.json").read_text())
        return arguments, variables


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


VALUES = [
    "costs $5",
    "$(shell touch ran)",
    "$$(touch ran) $${HOME} `touch ran`; touch ran",
    'it\'s "quoted" \\ and \\',
    "two\nlines \\\n",
    "# no comment",
    "50 % of \u00e9, \U0001f600",
    "\udcff\udc80",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", ["the command line", "the environment"])
def test_values_reach_the_program_as_typed(checkout: Checkout, value: str, place: str) -> None:
    given = dict.fromkeys(variables_of_targets()["submit"], value)
    words = [f"{name}={text}" for name, text in given.items()]
    done = checkout.make("submit", *words) if "line" in place else checkout.make("submit", **given)
    assert done.returncode == 0, done.stderr
    arguments, variables = checkout.called()
    assert arguments == ["-m", "pipeline", "submit"]
    assert given.items() <= variables.items()
    assert not (checkout.folder / "ran").exists()


def test_the_words_of_bench_are_no_shell_text(checkout: Checkout) -> None:
    value = "machine * $(shell touch ran) ; touch ran # `touch ran` 'a \"b"
    for arguments, variables in [([f"BENCH={value}"], {}), ([], {"BENCH": value})]:
        assert checkout.make("bench", *arguments, **variables).returncode == 0
        assert checkout.called()[0] == ["-m", "tests.bench", *value.split()]
    assert not (checkout.folder / "ran").exists()


def test_variables_that_are_not_given_are_not_exported(checkout: Checkout) -> None:
    assert checkout.make("submit", "FORCE=").returncode == 0
    assert {name: value for name, value in checkout.called()[1].items() if name in KNOWN} == {
        "FORCE": ""
    }


@pytest.mark.parametrize("python", ["$(shell touch ran)", "nothing; touch ran"])
def test_a_python_that_does_not_fit_is_named_and_nothing_is_installed(
    checkout: Checkout, python: str
) -> None:
    shutil.rmtree(checkout.folder / ".venv")
    for done in (checkout.make("setup", f"PYTHON={python}"), checkout.make("setup", PYTHON=python)):
        assert done.returncode == 2
        assert f'error: PYTHON is "{python}"; Python 3.11, 3.12 or 3.13 is needed' in done.stderr
    assert not {"ran", ".venv"} & {path.name for path in checkout.folder.iterdir()}


REFUSED: list[tuple[list[str], str]] = [
    (["submit", "RECIPIE=fast"], "variable RECIPIE; did you mean RECIPE?"),
    (["submit", "recipe=fast"], "variable recipe; did you mean RECIPE?"),
    (["help", "SEDE=1"], "variable SEDE; did you mean SEED?"),
    (["submit", "EPOCHS=3"], 'variable EPOCHS; keys of a recipe go into SET: SET="training.epochs'),
    (["train", "training.epoch=3"], 'go into SET: SET="training.epochs=..."'),
    (["train", "patience=3"], 'SET="reduce_on_plateau.patience=..." or SET="early_stopping.pat'),
    (["submit", "KAGGLE_KEY=hidden"], "those of other programs go before make"),
    (["submit", "a';ls=$(shell touch ran)"], "takes the variable a';ls; "),
    (["GIVEN=", "EPOCHS=3"], "takes the variable "),
    (["submit", "RUN="], "RUN is empty; give it a value, or leave it out"),
    (["submit", "SEED= "], "SEED is empty; "),
    (["compare", "RECIPE=fast"], "make compare takes no RECIPE; leave it out, or use it with make"),
    (["submit", "KAGGLE_IMGE=1"], "did you mean KAGGLE_IMAGE?"),
    (["reveal", "SEED=1"], "make reveal takes no SEED; leave it out, or use it with make"),
    (["leaderboard", "SOURCE=practice"], "make leaderboard takes no SOURCE; leave it out, or use"),
    (["train", "MESSAGE=x"], "takes no MESSAGE; leave it out, or use it with make submit"),
    (["sumbit"], "no target sumbit; did you mean submit?"),
    (["tset-slow", "RECIPE=fsat"], "no target tset-slow; did you mean test-slow?"),
    (["submit", "help"], "help is a target of its own: make help; .venv/bin/python -m pipeline"),
    (["it's;touch"], "no target it's;touch; make help lists them"),
    (["submit", "RECIPE=fsat"], "RECIPE is 'fsat', which is neither a recipe nor a file (did you"),
    (["submit", "RECIPE=quick'$(touch ran).toml"], "quick'$(touch ran).toml\", which is neither"),
    (["look", "VIEW=digit"], "VIEW is 'digit', which is unknown (did you mean digits?); use one"),
    (["train", "EXECUTOR=proceses"], "(did you mean processes?); use one of auto, serial, proces"),
    (["compare", "SORT=acuracy"], "(did you mean accuracy?); use one of accuracy, log_loss"),
    (["look", "PART=tests"], "(did you mean test?); use one of validation, test"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_a_variable_without_use_ends_make_first(
    checkout: Checkout, arguments: list[str], message: str
) -> None:
    shutil.rmtree(checkout.folder / ".venv")
    done = checkout.make(*arguments)
    assert done.returncode == 2
    error, stop = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert "hidden" not in error
    assert stop.endswith("*** nothing was done.  Stop.")
    assert not {"ran", ".venv"} & {path.name for path in checkout.folder.iterdir()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["SHELL=/bin/sh"],
        ["help", "RECIPE=fast"],
        ["train", "RECIPE=mlp_50"],
        ["compare", "train", "RECIPE=fast"],
        ["RUN=x"],
    ],
)
def test_variables_with_a_use_are_let_through(checkout: Checkout, arguments: list[str]) -> None:
    assert checkout.make(*arguments).returncode == 0


def test_known_values_and_files_are_let_through_before_the_setup(
    checkout: Checkout, tmp_path: Path
) -> None:
    shutil.rmtree(checkout.folder / ".venv")
    (tmp_path / "own.toml").touch()
    for words in (["RECIPE=tutorials/mlp_50"], ["RECIPE=own.toml"], ["EXECUTOR=serial"]):
        done = checkout.make("train", *words, "PYTHON=none")
        assert 'error: PYTHON is "none"' in done.stderr


def test_the_words_of_variables_are_read_from_the_code() -> None:
    assert known_words("EXECUTOR") == list(EXECUTORS)
    assert known_words("VIEW") == list(VIEWS)
    assert known_words("PART") == list(PARTS)
    assert known_words("SORT") == list(ORDERS)


def test_without_python_the_variables_are_listed(checkout: Checkout, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "tr").symlink_to(shutil.which("tr") or "")
    done = checkout.make("submit", "RECIPIE=fast", PATH=str(programs))
    assert done.returncode == 2
    expected = f"RECIPIE; the variables are {' '.join(sorted(KNOWN))}"
    assert done.stderr.startswith(f"error: no target takes the variable {expected}\n")


def test_the_keys_read_without_pydantic_are_all() -> None:
    assert {"seed", *keys_of_tables()} == set(SETTINGS)
