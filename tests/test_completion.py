"""Completion of make in a real bash: what Tab offers, and that other folders keep theirs."""

import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from pipeline import recipe
from pipeline.executors.plan import EXECUTORS
from pipeline.stages.look import PARTS, VIEWS
from tests.commands import REPOSITORY, variables_of_targets

SCRIPT = REPOSITORY / "pipeline" / "cli" / "completion.bash"
ASK = """
set -u
source "$SCRIPT"
COMP_LINE="$1"; COMP_POINT=${#1}; COMPREPLY=()
_digit_recognizer_make make 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
BASH = shutil.which("bash") or "bash"


def offered(line: str, folder: Path = REPOSITORY) -> set[str]:
    """Return what a bash offers for a line that is being typed in a folder."""
    done = subprocess.run(
        [BASH, "-c", ASK, "bash", line],
        cwd=folder,
        env={**os.environ, "SCRIPT": str(SCRIPT)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_targets_variables_and_values_are_offered() -> None:
    assert offered("make sub") == {"submit", "submission"}
    assert offered("make submit RE") == {"RECIPE="}
    assert offered("make reveal ") >= {"RUN=", "submit"}
    assert "RECIPE=" not in offered("make reveal ")
    assert {f"{name}=" for name in variables_of_targets()["submit"]} <= offered("make submit ")
    assert offered("make submit RECIPE=") >= set(recipe.names())
    assert offered("make train EXECUTOR=") == set(EXECUTORS)
    assert offered("make look VIEW=") == set(VIEWS)
    assert offered("make look PART=") == set(PARTS)
    assert offered("make compare SORT=ac") == {"accuracy"}


def test_runs_and_recipe_files_of_the_folder_are_offered(tmp_path: Path) -> None:
    for name in ("Makefile", "pipeline/recipe/spelling.py", "runs/fast-s0-1/run.json", "my.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert offered("make submit RUN=", tmp_path) == {"fast-s0-1"}
    (tmp_path / "$(touch ran)").mkdir()
    assert "\\$\\(touch\\" in offered("make submit SOURCE=", tmp_path)
    assert not (tmp_path / "ran").exists()
    assert offered("make submit RECIPE=m", tmp_path) == {"my.toml"}


def test_other_folders_are_completed_as_before(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("submerge:\n")
    assert offered("make sub", tmp_path) == set()


def test_tab_completes_in_an_interactive_shell() -> None:
    child, terminal = pty.fork()
    if not child:
        os.chdir(REPOSITORY)
        os.execv(BASH, [BASH, "--norc", "--noprofile", "-i"])
    os.write(terminal, f"source {SCRIPT}; echo rea''dy\n".encode())
    _read_until(terminal, "ready")
    os.write(terminal, b"make submit RECIPE=champ\t")
    _read_until(terminal, "champion")
    os.write(terminal, b"\x03exit\n")
    os.close(terminal)
    os.waitpid(child, 0)


def _read_until(terminal: int, text: str) -> None:
    printed, deadline = "", time.monotonic() + 20
    while text not in printed:
        assert time.monotonic() < deadline, printed
        printed += os.read(terminal, 1000).decode(errors="replace")


# A person may have no zsh; .ci/run installs it, so that there nothing is left out.
@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_can_read_the_script() -> None:
    start = "autoload -U +X compinit && compinit -u -D; autoload -U +X bashcompinit && bashcompinit"
    ask = ASK.replace("set -u", start)
    done = subprocess.run(
        ["zsh", "-fc", ask, "zsh", "make train EXECUTOR=s"],
        cwd=REPOSITORY,
        env={**os.environ, "SCRIPT": str(SCRIPT)},
        capture_output=True,
        text=True,
    )
    assert "EXECUTOR=serial" in done.stdout.split()
