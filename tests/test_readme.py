"""The commands, settings, links and paths in README.md, docs/ and RESULTS.md are real."""

import re
import shlex
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from pipeline import networks, recipe
from pipeline.cli import app
from pipeline.evaluation.comparison.order import ORDERS
from pipeline.evaluation.tutorials import BASELINES
from pipeline.executors.plan import EXECUTORS
from pipeline.search.space import chosen_space, offered_space, own_values
from pipeline.stages.look import PARTS, VIEWS
from pipeline.stages.remove import NEEDED
from pipeline.stages.sweep import Combination
from tests.bench.__main__ import BENCHMARKS
from tests.commands import variables_of_targets

REPOSITORY = Path(__file__).parents[1]
PAGES = {
    path.relative_to(REPOSITORY).as_posix(): path.read_text()
    for path in (
        REPOSITORY / "README.md",
        *sorted((REPOSITORY / "docs").glob("*.md")),
        REPOSITORY / "tests/bench/RESULTS.md",
        REPOSITORY / "tests/FAULTS.md",
    )
}
README = PAGES["README.md"]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OPTIONS = {
    name: {option.envvar for option in command.params if option.envvar}
    for name, command in COMMANDS.items()
}
"""The variables of each command's options."""
ARGUMENTS = {"export": ("mlflow",)}
"""The words that the Makefile gives a command."""
MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")
VARIABLES = {
    **{name: OPTIONS.get(name, set()) for name in TARGETS},
    **{
        name: {*given, "RAY_ADDRESS", *MLFLOW}
        for name, given in OPTIONS.items()
        if "EXECUTOR" in given
    },
    "search": {*OPTIONS["search"], *MLFLOW},
    "export": {*OPTIONS["export"], *MLFLOW},
    "setup": {"EXECUTOR", "TENSORBOARD", "MLFLOW_TRACKING_URI", "PYTHON"},
    "bench": {"BENCH"},
    "torture": {"SEED", "TORTURE"},
}
"""The variables that each target takes. Ray and MLflow read theirs, which have no option."""
WORDS: dict[str, Iterable[str]] = {
    "SOURCE": ("auto", "kaggle", "practice", "mnist"),
    "EXECUTOR": EXECUTORS,
    "VIEW": VIEWS,
    "PART": PARTS,
    "SORT": ORDERS,
    "ALSO": NEEDED,
    "BENCH": BENCHMARKS,
}
"""Variables that hold known words, which the command line takes as any text."""
SCRIPTS = "".join(path.read_text() for path in (REPOSITORY / "tests").rglob("*.py"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACEHOLDER = re.compile(r"<|\.\.\.")
SETTING = r'[A-Z_]+=(?:"[^"]*"|<[^>]*>|[^\s"])+'
PRINTED = re.compile(rf"\bmake [a-z-]+(?: {SETTING})*")
WRITTEN = re.compile(rf"(?:.* )?make\b|.*python -m |(?:\.\.\. )?{SETTING}(?: {SETTING})*$")


def commands(page: str) -> list[str]:
    """Return the commands and the settings that a Markdown page shows as code, each one once.

    They come from ```sh blocks, from `spans`, and from what a program printed in ```text blocks.
    """
    code, printed = re.findall(r"`([^`]+)`", FENCE.sub("", page)), ""
    for kind, block in FENCE.findall(page):
        if kind == "sh":
            code += re.sub(r" +#.*", "", block.replace("\\\n", " ")).splitlines()
        elif kind == "text":
            printed += block
    shown = [piece for piece in code if WRITTEN.match(piece)]
    return list(dict.fromkeys([*shown, *PRINTED.findall(printed)]))


def check(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise an error if `code`, a command or only settings, would be refused."""
    words = [word for word in shlex.split(re.sub("<.*?>", "<>", code)) if word != "..."]
    if "make" in words:
        target, *settings = words[words.index("make") + 1 :] or ["help"]
        assert target in TARGETS, f"no target {target}"
        check_settings(settings, [target], monkeypatch)
    elif "-m" in words:
        module, *arguments = words[words.index("-m") + 1 :]
        check_module(module, arguments)
    else:
        check_settings(words, list(VARIABLES), monkeypatch)


def check_settings(words: list[str], targets: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check `NAME=value` words as the first of `targets` that takes all of them would."""
    assert all(re.match(r"[A-Z_]+=", word) for word in words), f"not all of {words} are settings"
    settings = dict(word.split("=", 1) for word in words)
    target = next((name for name in targets if settings.keys() <= VARIABLES[name]), None)
    assert target, f"none of {targets} takes {list(settings)}"
    values = {name: value for name, value in settings.items() if not PLACEHOLDER.search(value)}
    for name, known in WORDS.items():
        assert set(values.get(name, "").split()) <= set(known), f"unknown word in {name}"
    name, changes = values.get("RECIPE", "bn_cnn"), values.get("SET", "")
    start = recipe.load(name, changes)
    if "SWEEP" in values:
        Combination.parse(name, changes, None, values["SWEEP"], int(values.get("SEEDS", "1")))
    if "VARY" in values:
        rates = networks.own_dropout_rates(start.network.name)
        own = own_values(start, rates)
        chosen_space(values["VARY"], offered_space(own, rates), own)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    if target in COMMANDS:
        COMMANDS[target].make_context(target, [*ARGUMENTS.get(target, ())])


def check_module(module: str, arguments: list[str]) -> None:
    """Check `python -m` with this module and these arguments."""
    if module != "pipeline":
        assert find_spec(module), f"no module {module}"
        for option in filter(re.compile("--").match, arguments):
            assert f'"{option}"' in SCRIPTS, f"no option {option}"
    elif arguments == ["--version"]:
        assert "--version" in typer.main.get_command(app).params[0].opts
    elif arguments and not PLACEHOLDER.search(arguments[0]):
        assert arguments[0] in COMMANDS, f"no command {arguments[0]}"
        COMMANDS[arguments[0]].make_context(arguments[0], arguments[1:])


SHOWN = [(name, code) for name, page in PAGES.items() for code in commands(page)]
WRONG = {
    "`make sumbit`": "no target sumbit",
    "```sh\nmake submit RECIPE=fsat   # soon\n```": "RECIPE is 'fsat'",
    "```sh\nmake submit recipe=fast\n```": "not all of",
    "```text\nerror: use make submit RECEIPE=fast\n```": "takes \\['RECEIPE'\\]",
    "`make compare RECIPE=fast`": "takes \\['RECIPE'\\]",
    '`make submit SET="training.epoch=3"`': "unknown key training.epoch",
    '`SET="members.folds=1"`': "members.folds is 1",
    '`make submit RECIPE=fast SET="early_stopping.enabled=true"`': "must be false",
    "`make compare RAY_ADDRESS=<first machine>:6379`": "takes \\['RAY_ADDRESS'\\]",
    "`make data SOURCE=practise`": "unknown word in SOURCE",
    "`EXECUTOR=proceses`": "unknown word in EXECUTOR",
    "`make look RUN=<id> VIEW=digit`": "unknown word in VIEW",
    "`... VIEW=random SEED=one`": "SEED is 'one'",
    "`make look RUN=<id> TRUE=5 PREDICTED=10`": "from 0 to 9",
    '`make sweep SWEEP="training.epoch=2,3"`': "unknown key 'training.epoch'",
    '`make search RECIPE=fast VARY="network.dropout"`': "no range",
    '```sh\nmake bench BENCH="machine stp"\n```': "unknown word in BENCH",
    "`.venv/bin/python -m pipeline compare --jsn`": "No such option",
    "`.venv/bin/python -m pipeline comapre`": "no command comapre",
    "```sh\n.venv/bin/python -m tests.bench.rase notebook\n```": "no module tests.bench.rase",
    "`.venv/bin/python -m tests.bench.race fast --digit data/practice`": "no option --digit",
}


@pytest.mark.parametrize(("page", "code"), SHOWN, ids=[f"{name}: {code}" for name, code in SHOWN])
def test_every_command_shown_exists(page: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(code, monkeypatch)


@pytest.mark.parametrize(("page", "message"), WRONG.items())
def test_a_wrong_command_is_refused(
    page: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = commands(page)
    with pytest.raises(Exception, match=message):
        check(code, monkeypatch)


def dead_ends(page: str, folder: Path) -> list[str]:
    """Return the relative links of a page in `folder`, and the paths in it, that lead nowhere."""
    text = FENCE.sub("", page)
    links = re.findall(r"\]\((?!https?:)([^)]*)\)", text)
    paths = re.findall(r"`((?:pipeline|tests|docs|data/mnist)/[\w./-]+)`", text)
    dead = [link for link in links if not leads_somewhere(link, page, folder)]
    return dead + [path for path in paths if not (REPOSITORY / path).exists()]


def leads_somewhere(link: str, page: str, folder: Path) -> bool:
    """Return whether the link's file exists and has the heading that the link names."""
    path, _, heading = link.partition("#")
    if path and not (folder / path).exists():
        return False
    return not heading or heading in anchors((folder / path).read_text() if path else page)


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_path_leads_somewhere(name: str) -> None:
    assert not dead_ends(PAGES[name], (REPOSITORY / name).parent)


def test_a_dead_link_or_path_is_reported() -> None:
    dead = ["missing.md", "../README.md#no-such-heading", "#nor-this", "pipeline/no_such.py"]
    links = "".join(f"[a]({link}) " for link in dead[:3])
    page = f"# One\n{links}[b](../README.md#variables) [c](#one) `{dead[3]}` `pipeline/cli/`"
    assert dead_ends(page, REPOSITORY / "docs") == dead


@pytest.mark.parametrize(
    "block",
    [block for page in PAGES.values() for kind, block in FENCE.findall(page) if kind == "toml"],
)
def test_every_recipe_shown_can_be_loaded(block: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.toml"
    path.write_text(block)
    for name in re.findall(r'^file = "(.*)"$', block, re.MULTILINE):  # a network file beside it
        (tmp_path / name).touch()
    recipe.load(str(path))


def test_the_readme_is_short_and_links_to_every_page() -> None:
    assert len(README.splitlines()) <= 200
    assert all(f"]({name}" in README for name in PAGES if name != "README.md")


def test_the_variables_table_is_complete() -> None:
    taken = variables_of_targets()
    assert taken == {target: VARIABLES[target] - {"PYTHON"} for target in taken}
    table = README.split("## Variables")[1].split("\n\n")[1]
    assert set().union(*taken.values()) == set(re.findall(r"`([A-Z_]+)`[,| ]", table))
    (benchmarks,) = re.findall(r"\| `BENCH` \|.*only some of (.*) \|", table)
    assert re.findall(r"`(\w+)`", benchmarks) == list(BENCHMARKS)


def test_every_recipe_and_executor_is_in_its_table() -> None:
    def rows(page: str, heading: str) -> list[str]:
        section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
        return re.findall(r"^\| `?([a-z_0-9]+)`? ", section, re.MULTILINE)

    top_level = [name for name in recipe.names() if not name.startswith("tutorials/")]
    tutorials = [f"tutorials/{name}" for name in rows(PAGES["docs/recipes.md"], "The tutorials")]
    assert sorted(rows(README, "Recipes")[1:]) == sorted(top_level)
    assert set(tutorials) >= set(recipe.names()) - set(top_level)
    assert len(tutorials[1:]) == len(BASELINES)
    assert rows(PAGES["docs/executors.md"], "Executors") == list(EXECUTORS)
