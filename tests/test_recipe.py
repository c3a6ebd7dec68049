"""Recipes: the notebook's values, and one clear line for each wrong or unused setting."""

import json
import os
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from pipeline import recipe
from pipeline.common.errors import PipelineError
from pipeline.recipe.keys import SETTINGS
from pipeline.recipe.unused import DEPENDENCIES


def test_default_recipe_holds_the_notebooks_values() -> None:
    settings = recipe.load("bn_cnn")
    assert settings.network.name == "bn_cnn"
    assert settings.network.dropout == 0.3
    assert (settings.split.validation_fraction, settings.training.batch_size) == (0.15, 64)
    assert (settings.training.epochs, settings.training.learning_rate) == (50, 0.001)
    warps = settings.augmentation
    assert (warps.rotation_range, warps.zoom_range) == (10, 0.1)
    assert (warps.width_shift_range, warps.height_shift_range) == (0.1, 0.1)
    plateau = settings.reduce_on_plateau
    assert (plateau.patience, plateau.factor, plateau.min_learning_rate) == (3, 0.5, 1e-5)
    assert (settings.early_stopping.patience, settings.early_stopping.min_delta) == (10, 1e-10)
    assert settings.checkpoints.keep_best == 5


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_of_the_package_is_valid(name: str) -> None:
    assert recipe.load(name).name == Path(name).name


def test_set_and_seed_change_the_recipe() -> None:
    settings = recipe.load("quick", "training.epochs=3 augmentation.engine=keras", seed=7)
    assert (settings.training.epochs, settings.augmentation.engine, settings.seed) == (
        3,
        "keras",
        7,
    )
    assert recipe.load("quick", "seed=4").seed == 4
    assert recipe.load("quick", "seed=7", seed=7).seed == 7


def test_a_recipe_in_a_folder_is_found_by_its_bare_name_too() -> None:
    assert recipe.load("mlp_256") == recipe.load("tutorials/mlp_256")
    assert recipe.load("mlp_256").network.name == "mlp_256"


def test_a_recipe_file_is_taken_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nepochs = 2\n")
    settings = recipe.load(str(file))
    assert (settings.name, settings.training.epochs, settings.network.name) == ("mine", 2, "bn_cnn")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            "training.epoch=3",
            "unknown key training.epoch (did you mean training.epochs?); allowed here: epochs, "
            "batch_size",
        ),
        ("early_stopping.patienc=3", "(did you mean early_stopping.patience?)"),
        ("augmentations.engine=none", "unknown key augmentations (did you mean augmentation?)"),
        ("training.epoch=none", "unknown key training.epoch (did you mean training.epochs?)"),
        ("augmentation.horizontal_flip=true", "allowed here: engine, rotation_range"),
        ("augmentation.fill_mode=wrap", "unknown key augmentation.fill_mode"),
        (
            "optimizer.name=sgd",
            "unknown key optimizer (did you mean training.optimizer?); allowed here: seed, split, "
            "members, network",
        ),
        (
            "training.epochs=0",
            "training.epochs is 0; it must be a whole number, at least 1 and at most "
            "1,000,000,000; change it in the file or with SET",
        ),
        ("training.epochs=many", "training.epochs is 'many'; it must be a whole number"),
        ("training.epochs=2.5", "training.epochs is 2.5; it must be a whole number"),
        (
            "augmentation.zoom_range=1.0",
            "zoom_range is 1.0; it must be a number, at least 0 and below 1",
        ),
        ("augmentation.engine=gpu", "engine is 'gpu'; it must be 'warp', 'keras' or 'none'"),
        ("training.epochs", "SET holds 'training.epochs'; each word must be key=value"),
        ("seed.x=1", "unknown key seed.x; seed is a value and has no keys"),
        ("training.epochs.x=1", "training.epochs is a value and has no keys"),
        ("training.epochs={x=1}", "training.epochs is {'x': 1}; it must be a whole"),
        ("optimizer={}", "unknown key optimizer (did you mean training.optimizer?)"),
        ("seed='1", "No closing quotation"),
        ("name=mine", "unknown key name; a recipe is named after its file"),
        ("name=none", "unknown key name; a recipe is named after its file"),
        (
            "augmentation=none",
            'SET gives the whole table augmentation; use dotted keys, as in SET="augmentation.eng',
        ),
        ("training={}", "SET gives the whole table training; use dotted keys"),
        ("split.fraction=0.2", "split.fraction (did you mean split.validation_fraction?)"),
        ("training.rate=1", "training.rate (did you mean training.learning_rate?)"),
        ("sed=1", "unknown key sed (did you mean seed?)"),
        (
            "training.epochs=3 seed=1 training.epochs=4",
            "SET gives training.epochs twice; leave one of them out",
        ),
        ("training.epochs=none training.epochs=4", "SET gives training.epochs twice; leave one"),
        (
            "members.folds=1",
            "members.folds is 1; it must be 0 (a hold-out), or a whole number from",
        ),
        ("checkpoints.keep_best=0", "checkpoints: keep_best or keep_last must be 1 or more"),
        (
            "schedule.kind=cosine",
            "SET='schedule.kind=cosine': schedule.kind is 'cosine', with which "
            "reduce_on_plateau.enabled and early_stopping.enabled must be false; change it in the "
            "file or with SET",
        ),
        (
            "schedule.kind=cosine reduce_on_plateau.enabled=false",
            "schedule.kind is 'cosine', with which reduce_on_plateau.enabled and "
            "early_stopping.enabled must be false",
        ),
        (
            "training.weight_decay=0.1",
            "weight_decay is 0.1 and training.optimizer 'adam'; a decay above 0 goes with 'adamw'",
        ),
        (
            "training.optimizer=adamw",
            "weight_decay is 0.0 and training.optimizer 'adamw'; a decay above 0 goes with 'adamw'",
        ),
        (
            "training.label_smoothing=0.1 training.loss=mean_squared_error",
            "training.loss must be 'categorical_crossentropy', not 'mean_squared_error'",
        ),
        (
            "training.learning_rate=inf",
            "training.learning_rate is inf; it must be a number, above 0",
        ),
    ],
)
def test_wrong_settings_are_named(changes: str, message: str) -> None:
    with pytest.raises(PipelineError) as error:
        recipe.load("bn_cnn", changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_name_that_no_run_could_have_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "my recipe.toml"
    file.write_text("")
    with pytest.raises(PipelineError, match=r"file name may hold only letters.*rename the file"):
        recipe.load(str(file))


def write_recipe(folder: Path, settings: dict[str, Any], name: str = "mine") -> str:
    """Write a recipe file of dotted keys and return its path."""
    file = folder / f"{name}.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return str(file)


def as_set(settings: dict[str, Any]) -> str:
    return " ".join(f"{key}={json.dumps(value)}" for key, value in settings.items()).replace(
        '"', ""
    )


NO_CALLBACKS = {"reduce_on_plateau.enabled": False, "early_stopping.enabled": False}
"""What schedule.kind cosine and exponential need."""

NEEDED: dict[Any, dict[str, Any]] = {
    "cosine": NO_CALLBACKS,
    "exponential": NO_CALLBACKS,
    "muon": {"training.weight_decay": 0.1},
}
"""What else a value that gives a setting its effect needs."""

UNUSED: list[tuple[str, Any, str, Any, Any]] = [
    ("split.validation_fraction", 0.3, "members.folds", 5, 0),
    ("members.hold_outs", 3, "members.folds", 5, 0),
    ("augmentation.rotation_range", 20.0, "augmentation.engine", "none", "warp"),
    ("augmentation.width_shift_range", 0.2, "augmentation.engine", "none", "keras"),
    ("augmentation.height_shift_range", 0.2, "augmentation.engine", "none", "warp"),
    ("augmentation.shear_range", 0.2, "augmentation.engine", "none", "warp"),
    ("augmentation.zoom_range", 0.2, "augmentation.engine", "none", "warp"),
    ("training.momentum", 0.9, "training.optimizer", "sgd", "muon"),
    ("training.xla", "on", "training.deterministic", True, False),
    ("schedule.warm_up", 0.2, "schedule.kind", "constant", "cosine"),
    ("schedule.factor", 0.9, "schedule.kind", "constant", "exponential"),
    ("reduce_on_plateau.patience", 5, "reduce_on_plateau.enabled", False, True),
    ("reduce_on_plateau.factor", 0.25, "reduce_on_plateau.enabled", False, True),
    ("reduce_on_plateau.min_learning_rate", 0.0, "reduce_on_plateau.enabled", False, True),
    ("early_stopping.patience", 5, "early_stopping.enabled", False, True),
    ("early_stopping.min_delta", 0.5, "early_stopping.enabled", False, True),
]
"""A setting, its value, the setting that decides whether it has an effect, and that one's value
with which it has none and with which it has one."""

COLUMNS = ("key", "value", "switch", "off", "on")


def check_refused(file: str, changes: str, *parts: str) -> None:
    with pytest.raises(PipelineError) as error:
        recipe.load(file, changes)
    for part in parts:
        assert part in str(error.value)
    assert len(str(error.value)) < 1_000
    assert str(error.value).isprintable()


def test_every_setting_that_may_be_unused_is_tested() -> None:
    # The values of these two are checked by the schema itself.
    checked = {"training.weight_decay", "training.label_smoothing"}
    tested = {key for key, *_ in UNUSED} | checked
    assert set(DEPENDENCIES) == tested
    switches = {dependency.switch for dependency in DEPENDENCIES.values()}
    assert tested | switches <= set(SETTINGS)


@pytest.mark.parametrize(COLUMNS, UNUSED)
def test_a_setting_without_effect_in_the_same_file_is_refused(
    key: str, value: Any, switch: str, off: Any, on: Any, tmp_path: Path
) -> None:
    file, off_text = write_recipe(tmp_path, {switch: off, key: value}), as_set({switch: off})
    message = f"mine.toml: {key} is {value!r}, which has no effect while {off_text}; leave it out"
    fix = f'leave it out of the file, or unset it with SET="{key}=none", or set {switch}='
    check_refused(file, "", message, fix)
    check_refused(file, off_text, "which has no effect", fix)
    assert attrgetter(switch)(recipe.load(file, f"{key}=none")) == off


@pytest.mark.parametrize(COLUMNS, UNUSED)
def test_a_setting_without_effect_in_set_is_refused(
    key: str, value: Any, switch: str, off: Any, on: Any, tmp_path: Path
) -> None:
    given, off_text = as_set({key: value}), as_set({switch: off})
    message = f"{key} is {value!r}, which has no effect while {off_text}; leave it out of SET, or"
    check_refused(write_recipe(tmp_path, {}), f"{given} {off_text}", message)
    check_refused(write_recipe(tmp_path, {switch: off}), given, message)


@pytest.mark.parametrize(COLUMNS, UNUSED)
def test_a_setting_of_the_file_that_set_makes_unused_takes_its_default(
    key: str, value: Any, switch: str, off: Any, on: Any, tmp_path: Path
) -> None:
    needed = NEEDED.get(on, {})
    file = write_recipe(tmp_path, {**needed, switch: on, key: value})
    assert attrgetter(switch, key)(recipe.load(file)) == (on, value)
    settings = recipe.load(file, as_set({switch: off}))
    assert attrgetter(switch, key)(settings) == (off, SETTINGS[key].default)
    # run.json keeps all settings of a run, and they are read back.
    assert recipe.Recipe.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(COLUMNS, UNUSED)
def test_set_can_give_a_setting_its_effect(
    key: str, value: Any, switch: str, off: Any, on: Any, tmp_path: Path
) -> None:
    needed = NEEDED.get(on, {})
    file = write_recipe(tmp_path, {**needed, switch: off})
    settings = recipe.load(file, as_set({switch: on, key: value}))
    assert attrgetter(switch, key)(settings) == (on, value)


@pytest.mark.parametrize("name", recipe.names())
@pytest.mark.parametrize(
    "changes",
    ["augmentation.engine=none", "members.folds=5", f"schedule.kind=cosine {as_set(NO_CALLBACKS)}"],
)
def test_set_can_switch_off_what_a_recipe_of_the_package_gives(name: str, changes: str) -> None:
    settings = recipe.load(name, changes)
    assert recipe.Recipe.model_validate(settings.model_dump(mode="json")) == settings


def test_the_line_about_a_setting_without_effect() -> None:
    with pytest.raises(PipelineError) as error:
        recipe.load("bn_cnn", "schedule.warm_up=0.2")
    assert str(error.value) == (
        "recipe bn_cnn.toml with SET='schedule.warm_up=0.2': schedule.warm_up is 0.2, which has no "
        "effect while schedule.kind=constant; leave it out of SET, or set schedule.kind=cosine"
    )


def test_a_setting_that_unset_makes_unused_takes_its_default() -> None:
    settings = recipe.load("fast", "schedule.kind=none").schedule
    assert (settings.kind, settings.warm_up) == ("constant", 0.3)


def test_another_optimizer_and_another_loss_drop_what_belongs_to_the_files() -> None:
    assert recipe.load("fast").training.weight_decay == 0.01
    assert recipe.load("fast", "training.optimizer=adam").training.weight_decay == 0
    assert recipe.load("fast").training.label_smoothing == 0.05
    settings = recipe.load("fast", "training.loss=mean_squared_error")
    assert settings.training.label_smoothing == 0


@pytest.mark.parametrize(
    "changes",
    [
        "training.optimizer=sgd training.weight_decay=0",
        "training.loss=mean_squared_error training.label_smoothing=0.0",
        "training.deterministic=true training.xla=off",
        "training.deterministic=true training.xla=auto",
    ],
)
def test_a_value_that_says_what_happens_anyway_is_allowed(changes: str) -> None:
    recipe.load("bn_cnn", changes)


def test_a_seed_that_another_replaces_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"SET gives seed=4, but SEED is 7.* leave one of them"):
        recipe.load("quick", "seed=4", seed=7)


def test_none_unsets_a_setting_of_the_file() -> None:
    assert recipe.load("bn_cnn", "network.dropout=none").network.dropout is None
    settings = recipe.load("champion", "training.epochs=none members.folds=none network.name=none")
    assert (settings.training.epochs, settings.members.folds, settings.network.name) == (
        50,
        0,
        "bn_cnn",
    )
    assert settings.training.batch_size == 128
    assert recipe.load("fast", "network.dropout=none") == recipe.load("fast")


def test_none_is_the_value_of_a_setting_that_has_it() -> None:
    assert recipe.load("bn_cnn", "augmentation.engine=none").augmentation.engine == "none"


NETWORK = "from pipeline.networks import register\n"


def test_a_network_file_is_found_from_where_its_path_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes, work = tmp_path / "recipes", tmp_path / "work"
    for folder in (recipes, work):
        folder.mkdir()
        (folder / "own.py").write_text(NETWORK)
    write_recipe(recipes, {"network.file": "own.py", "network.name": "own"})
    monkeypatch.chdir(work)
    settings = recipe.load("../recipes/mine.toml")
    assert settings.network.file == str(recipes / "own.py")
    assert recipe.load("bn_cnn", "network.file=own.py").network.file == str(work / "own.py")
    absolute = recipe.load("bn_cnn", f"network.file={recipes / 'own.py'}")
    assert absolute.network.file == str(recipes / "own.py")
    monkeypatch.setenv("HOME", str(recipes))
    assert recipe.load("bn_cnn", "network.file='~/own.py'") == absolute
    assert recipe.Recipe.model_validate(settings.model_dump(mode="json")) == settings
    assert recipe.load("../recipes/mine.toml", "network.file=none").network.file is None
    assert recipe.load("bn_cnn").network.file is None


@pytest.mark.parametrize("name", ["missing.py", "own.txt", ".", "folder.py", "pipe.py"])
def test_a_network_file_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text(NETWORK)
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    path = tmp_path / name
    file = write_recipe(tmp_path, {"network.file": name})
    message = f"network.file is '{path}'; it must be a Python file (.py) that exists; mend the path"
    check_refused(file, "", f"mine.toml: {message}")
    check_refused("bn_cnn", f"network.file={path}", message)


def test_a_network_file_must_be_text(tmp_path: Path) -> None:
    check_refused("bn_cnn", "network.file=3", "network.file is 3; it must be a valid string")
