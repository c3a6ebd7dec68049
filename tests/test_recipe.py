"""Recipes: the notebook's values, and one clear line for every wrong one."""

from pathlib import Path

import pytest

from pipeline import recipe
from pipeline.common.errors import PipelineError


def test_default_recipe_holds_the_notebooks_values() -> None:
    made = recipe.load("bn_cnn")
    assert made.network.name == "bn_cnn"
    assert made.network.dropout == 0.3
    assert (made.split.validation_fraction, made.training.batch_size) == (0.15, 64)
    assert (made.training.epochs, made.training.learning_rate) == (50, 0.001)
    warps = made.augmentation
    assert (warps.rotation_range, warps.zoom_range) == (10, 0.1)
    assert (warps.width_shift_range, warps.height_shift_range) == (0.1, 0.1)
    plateau = made.reduce_on_plateau
    assert (plateau.patience, plateau.factor, plateau.min_learning_rate) == (3, 0.5, 1e-5)
    assert (made.early_stopping.patience, made.early_stopping.min_delta) == (10, 1e-10)
    assert made.checkpoints.keep_best == 5


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_that_ships_is_valid(name: str) -> None:
    assert recipe.load(name).name == Path(name).name


def test_set_and_seed_change_the_recipe() -> None:
    made = recipe.load("quick", "training.epochs=3 augmentation.engine=keras seed=4", seed=7)
    assert (made.training.epochs, made.augmentation.engine, made.seed) == (3, "keras", 7)


def test_a_recipe_in_a_folder_is_found_by_its_bare_name_too() -> None:
    assert recipe.load("mlp_256") == recipe.load("tutorials/mlp_256")
    assert recipe.load("mlp_256").network.name == "mlp_256"


def test_a_recipe_file_is_taken_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nepochs = 2\n")
    made = recipe.load(str(file))
    assert (made.name, made.training.epochs, made.network.name) == ("mine", 2, "bn_cnn")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("training.epoch=3", "unknown key training.epoch; allowed here: epochs, batch_size"),
        ("augmentation.horizontal_flip=true", "allowed here: engine, rotation_range"),
        ("augmentation.fill_mode=wrap", "unknown key augmentation.fill_mode"),
        (
            "optimizer.name=sgd",
            "unknown key optimizer; allowed here: seed, split, members, network",
        ),
        ("training.epochs=0", "training.epochs is 0; it must be greater than or equal to 1"),
        ("training.epochs=many", "training.epochs is 'many'; it must be a valid integer"),
        ("training.epochs=2.5", "training.epochs is 2.5; it must be a valid integer"),
        ("augmentation.zoom_range=1.0", "zoom_range is 1.0; it must be less than 1"),
        ("augmentation.engine=gpu", "engine is 'gpu'; it must be 'warp', 'keras' or 'none'"),
        ("training.epochs", "SET holds 'training.epochs'; each word must be key=value"),
        ("seed.x=1", "seed is a value and has no keys"),
        ("seed='1", "No closing quotation"),
        ("name=mine", "unknown key name; a recipe is named after its file"),
        ("members.folds=1", "members.folds is 1; it must be 0 (a hold-out), or 2 or more"),
        ("checkpoints.keep_best=0", "it must be such that keep_best or keep_last is 1 or more"),
        (
            "schedule.kind=cosine",
            "SET='schedule.kind=cosine': schedule.kind is 'cosine', with which "
            "reduce_on_plateau.enabled must be false; change it in the file or with SET",
        ),
        (
            "schedule.kind=cosine reduce_on_plateau.enabled=false",
            "schedule.kind is 'cosine', with which early_stopping.enabled must be false",
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
        ("training.learning_rate=inf", "training.learning_rate is inf; it must be a finite"),
    ],
)
def test_wrong_settings_are_named(changes: str, message: str) -> None:
    with pytest.raises(PipelineError) as error:
        recipe.load("bn_cnn", changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_recipe_lists_those_that_exist() -> None:
    with pytest.raises(PipelineError, match=r"RECIPE is 'bn'.*bn_cnn, champion, fast, quick"):
        recipe.load("bn")


def test_a_file_name_that_no_run_could_have_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "my recipe.toml"
    file.write_text("")
    with pytest.raises(PipelineError, match=r"file name must be of letters.*rename the file"):
        recipe.load(str(file))


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[training\n")
    with pytest.raises(PipelineError, match=r"mine\.toml: not valid TOML"):
        recipe.load(str(file))
