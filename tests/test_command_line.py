"""The command line: one line per bad value, and an orderly end without streams or memory."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.common.errors import exit_codes
from tests.commands import REPOSITORY, command, plain_environment, variables_of_targets

PROGRAM = f"exec {shlex.quote(sys.executable)} -m pipeline"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, without variables of the pipeline. Signals are put back."""
    monkeypatch.chdir(tmp_path)
    for name in set().union({"RAY_ADDRESS"}, *variables_of_targets().values()):
        monkeypatch.delenv(name, raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)


SEEDS = "a whole number from 0 to 4294967295 is needed"
NOT_UTF_8 = r"is '\udcff', which is not text in UTF-8; type it again in a terminal that uses UTF-8"
MESSAGE = "one line of at most 500 characters is needed, without control characters"


@pytest.mark.parametrize(
    ("command", "variables", "message"),
    [
        ("train", {"SEED": "x"}, f"SEED is 'x'; {SEEDS}"),
        ("train", {"SEED": "4294967296"}, f"SEED is '4294967296'; {SEEDS}"),
        ("train --seed 1x", {}, f"SEED is '1x'; {SEEDS}"),
        ("train --seed ''", {}, f"SEED is ''; {SEEDS}"),
        ("submit", {"PRACTICE_SEED": "-1"}, f"PRACTICE_SEED is '-1'; {SEEDS}"),
        ("baselines", {"SEEDS": "101"}, "SEEDS is '101'; a whole number from 1 to 100 is needed"),
        ("look", {"START": "1.5"}, "START is '1.5'; a whole number from 0 to 1000000 is needed"),
        ("look", {"COUNT": "9" * 5000}, "(5,002 characters); a whole number from 1 to 1000 is nee"),
        ("look", {"TRUE": "10"}, "TRUE is '10'; a whole number from 0 to 9 is needed"),
        ("look", {"PREDICTED": "²"}, "PREDICTED is '²'; a whole number from 0 to 9 is needed"),
        ("submit", {"FORCE": "maybe"}, "FORCE is 'maybe'; give 1, or leave it out"),
        ("remove", {"FORCE": "yes"}, "FORCE is 'yes'; give 1, or leave it out"),
        ("train", {"TENSORBOARD": "true"}, "TENSORBOARD is 'true'; give 1, or leave it out"),
        ("train", {"SOURCE": "pratice"}, "SOURCE is 'pratice' (did you mean practice?); it must"),
        ("train", {"RECIPE": "my.toml"}, "neither a recipe nor a file in "),
        ("look", {}, "RUN is left out; make look draws one trained run"),
        ("submit --run ''", {}, "RUN is empty; give it a value, or leave it out"),
        ("submit", {"MESSAGE": "\udcff"}, f"MESSAGE {NOT_UTF_8}"),
        ("train", {"RECIPE": "\udcff"}, f"RECIPE {NOT_UTF_8}"),
        ("train", {"SET": "\udcff"}, f"SET {NOT_UTF_8}"),
        ("train", {"RUN": "\udcff"}, f"RUN {NOT_UTF_8}"),
        ("train", {"RAY_ADDRESS": "\udcff"}, f"RAY_ADDRESS {NOT_UTF_8}"),
        ("submit", {"MESSAGE": "two\nlines"}, rf"MESSAGE is 'two\nlines'; {MESSAGE}"),
        ("submit", {"MESSAGE": "x" * 501}, f"(503 characters); {MESSAGE}"),
        ("submit --no-such-option", {}, "No such option: --no-such-option; python -m pipeline sub"),
        ("no-such-command", {}, "No such command 'no-such-command'; python -m pipeline --help lis"),
        ("runs --root nowhere", {}, "'nowhere' is no folder; python -m pipeline runs --help lists"),
        ("train --seed", {}, "Option '--seed' requires an argument; python -m pipeline"),
        (
            "train a\x1b[2J",
            {},
            r"unexpected extra argument(s) (a\x1b[2J); python -m pipeline train",
        ),
    ],
)
def test_what_is_not_allowed_is_told_in_one_line_before_the_work(
    command: str,
    variables: dict[str, str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["pipeline", *shlex.split(command)])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    assert ending.value.code == (2 if "python -m pipeline" in message else 1)
    printed, line = capsys.readouterr()
    assert line.startswith("error: ")
    assert message in line
    assert line.removesuffix("\n").isprintable()
    assert not printed
    assert not list(folder.iterdir())


def run(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in `folder`. It is killed if it does not end."""
    environment = {
        name: value
        for name, value in plain_environment().items()
        if name not in set().union(*variables_of_targets().values())
    }
    return subprocess.run(
        ["bash", "-c", words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


FULL = "error: [Errno 28] No space left on device; make room on the disk, and run the same command "


@pytest.mark.parametrize(
    ("words", "code", "errors"),
    [
        ("runs >&-", 0, ""),
        ("runs >&- 2>&-", 0, ""),
        ("runs <&-", 0, ""),
        ("submit --recipe nope 2>&-", 1, ""),
        ("runs > /dev/full", 1, FULL),
        ("--help > /dev/full", 1, FULL),
        ("submit --recipe nope > /dev/full 2>&1", 1, ""),
    ],
)
def test_closed_and_full_streams_leave_no_traceback(
    words: str, code: int, errors: str, tmp_path: Path
) -> None:
    done = run(f"{PROGRAM} {words}", tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith(errors)
    assert done.stderr.count("\n") == bool(errors)


def test_a_reader_that_has_gone_ends_the_command_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "--help"],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=plain_environment(),
            cwd=tmp_path,
        )
    assert (done.returncode, done.stderr) == (1, b"")


INTERRUPTED = """
import os, runpy, signal, sys

class Finder:
    def find_spec(name, path, target=None):
        if name == "pipeline.common.startup":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
runpy.run_module("pipeline", run_name="__main__")
"""


def test_ctrl_c_while_modules_are_imported_leaves_no_traceback() -> None:
    program = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(program, env=plain_environment(), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_a_training_whose_reader_has_gone_can_be_continued(
    small_digits: Path, tmp_path: Path
) -> None:
    words = ["--recipe", "mlp_50", "--set", "training.epochs=100000", "--source", str(small_digits)]
    with command(tmp_path, "train", *words) as running:
        running.read_until(r"^epoch +2/")
        assert running.process.stdout
        running.process.stdout.close()
        assert running.process.wait(timeout=60) == 1
        (line,) = running.errors().splitlines()
        record = running.record()
    assert re.fullmatch(rf"run {record['id']}: interrupted after \d+ epochs; make train .*", line)
    assert (record["status"], record["reason"]) == ("interrupted", "nobody reads its output")


def test_a_file_that_numpy_could_not_write_wholly_is_for_want_of_room(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit), exit_codes():
        raise OSError("470400 requested and 184192 written")
    assert "make room on the disk, and run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("limit", "command"),
    [
        (250_000, "compare"),
        (390_000, "compare"),
        (1_000_000, "train --set training.epochs=1 --source ."),
    ],
)
def test_a_lack_of_memory_is_told_in_one_line(
    limit: int, command: str, small_digits: Path, tmp_path: Path
) -> None:
    for file in small_digits.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    done = run(f"ulimit -v {limit}; {PROGRAM} {command}", tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: not enough memory (")
    assert line.endswith(
        "; end other programs, or allow this one more memory (ulimit -v), and run the same command "
        "again"
    )
    assert not list(tmp_path.glob("runs/*/run.json"))


IN_A_DESTRUCTOR = """
import os, sys, time
from pipeline.common.errors import exit_codes

class Slow:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0.01)

with exit_codes():
    slow = Slow()
    del slow
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_a_signal_is_not_lost_in_a_destructor(number: int, code: int, line: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_DESTRUCTOR, str(int(number))],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (ended.returncode, ended.stderr) == (code, f"{line}\n")


def test_the_version_is_that_of_the_project(without_tensorflow: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "--version"],
        env={**plain_environment(), "PYTHONPATH": without_tensorflow},
        capture_output=True,
        text=True,
    )
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert re.fullmatch(
        rf"digit-recognizer-pipeline {re.escape(version)}( \([0-9a-f]{{7}}\))?\n", done.stdout
    )
