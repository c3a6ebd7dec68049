"""Recipes from outside: paths, files, numbers and values of SET beyond what is allowed."""

import os
import re
from pathlib import Path

import pytest

from pipeline.recipe.keys import SETTINGS, allowed_numbers
from tests.test_recipe import check_refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bn",
            "'bn', which is neither a recipe nor a file (did you mean bn_cnn?); use one of bn_cnn",
        ),
        ("champoin", "neither a recipe nor a file (did you mean champion?); use one of"),
        ("tutorials/mlp256.toml", "nor a file (did you mean tutorials/mlp_256?); use one of"),
        ("README.md", "a file whose name does not end in .toml; use one of bn_cnn"),
        (".", "which is a folder; use one of bn_cnn"),
        ("folder.toml", "which is a folder; use one of"),
        ("pipe.toml", "which is a pipe or a device; use one of"),
        ("/dev/zero", "which is a pipe or a device; use one of"),
        ("link.toml", "which is no path that can be read (Too many levels of symbolic links)"),
        ("~nouser/x.toml", "'~nouser/x.toml', which is neither a recipe nor a file; use one of"),
        ("a\0.toml", "'a\\x00.toml', which is no path that can be read (embedded null byte)"),
        ("x" * 5000 + ".toml", "(5,007 characters), which is no path that can be read (File name"),
        ("README.md/x.toml", "which is no path that can be read (Not a directory)"),
        ("\x1b[2J.toml", r"RECIPE is '\x1b[2J.toml', which is neither a recipe nor a file"),
    ],
)
def test_what_is_no_recipe_is_named(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").touch()
    Path("folder.toml").mkdir()
    os.mkfifo("pipe.toml")
    Path("link.toml").symlink_to("link.toml")
    check_refused(name, "", "RECIPE is ", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training\n", "mine.toml: not valid TOML: "),
        ("seed = '\udcff'", "mine.toml: not valid TOML: 'utf-8' codec can't decode byte 0xff"),
        ("seed = " + "[" * 5000, "mine.toml: tables or arrays are nested too deeply; mend the"),
        ("seed = " + "9" * 5000, "mine.toml: an integer has thousands of digits; mend the file"),
        ("#" * 50_001, "mine.toml: cannot be read: it is longer than 50,000 bytes; mend the file"),
        ("seed = 0x" + "f" * 5000, "seed is a number of thousands of digits; it must be a whole"),
        ("training.epochs" + ".a" * 2000 + " = 1", "epochs is nested too deeply to be shown; it"),
        ('"a\\u001b[2J" = 1', r"mine.toml: unknown key a\x1b[2J; allowed here: seed, split"),
        ('split."\\u001b".x = 1', r"mine.toml: unknown key split.\x1b; allowed here: valid"),
        ('"a\\u001b.b" = 1\na = 1', r"mine.toml: unknown key a\x1b; allowed here: seed"),
        ("training = 1", "mine.toml: training is 1; it must be a table of settings: epochs, batch"),
        ('network.name = "\udced\udca0\udc80"', "mine.toml: not valid TOML: 'utf-8' codec"),
        ("training.learning_rate = nan", "learning_rate is nan; it must be a number, above 0 and"),
        ("training.epochs = 2026-01-01", "epochs is datetime.date(2026, 1, 1); it must be a whole"),
    ],
)
def test_a_damaged_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, errors="surrogateescape")
    check_refused(str(file), "", message)


NUMBERS = [(key, range_) for key in SETTINGS if (range_ := allowed_numbers(SETTINGS[key]))]


@pytest.mark.parametrize(("key", "allowed"), NUMBERS)
def test_every_number_has_limits(key: str, allowed: str) -> None:
    for value in ("-1", str(10**31), "inf", "-inf", "nan", "x"):
        shown = f"'{value}'" if value == "x" else value
        check_refused("bn_cnn", f"{key}={value}", f"{key} is {shown}; it must be {allowed}; change")
    assert re.search(r"a (whole )?number, (at least|above) [\d.]+ and (at most|below) ", allowed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("members.seeds=1000000000", "members.seeds is 1000000000; it must be a whole number, at"),
        (
            "members.folds=100 members.seeds=11",
            "members: folds=100 times seeds=11 are 1,100 members; at most 1,000 are allowed",
        ),
        ("training.epochs=" + "9" * 5000, "epochs is '999"),
        ("training.epochs=" + "[" * 5000, "epochs is '[[["),
        ("training.epochs=0x" + "f" * 5000, "epochs is a number of thousands of digits; it must"),
        ("training.epochs={" + "a." * 2000 + "a=1}", "epochs is nested too deeply to be shown"),
        ("'training.epochs=3\nseed = 4'", r"training.epochs is '3\nseed = 4'; it must be a whole"),
        ("\x1b[2J=1", r"with SET='\x1b[2J=1': unknown key \x1b[2J; allowed here"),
        ("a\x1b=1 a\x1b=1", r"SET gives a\x1b twice"),
        ("x" * 500, "... (502 characters); each word must be key=value"),
        ("'" + "x" * 500, "... (503 characters): No closing quotation"),
        (" " * 10_001, "(10,003 characters); at most 10,000 characters are allowed"),
        (f"network.file=/{'x' * 9000}.py", "(9,006 characters); it must be a Python file"),
        ("network.file='a\0.py'", "it must be a Python file (.py) that exists"),
        ("network.file=/dev/zero", "network.file is '/dev/zero'; it must be a Python file"),
    ],
)
def test_values_out_of_all_measure_end_in_one_short_line(changes: str, message: str) -> None:
    check_refused("bn_cnn", changes, message)
