"""Recipes: TOML files with every setting that shapes a run."""

from pipeline.recipe.loading import RECIPES_FOLDER, load, names
from pipeline.recipe.schema import (
    AugmentationSettings,
    CheckpointSettings,
    EarlyStoppingSettings,
    MemberSettings,
    NetworkSettings,
    Recipe,
    ReduceOnPlateauSettings,
    SplitSettings,
    TrainingSettings,
)

__all__ = [
    "RECIPES_FOLDER",
    "AugmentationSettings",
    "CheckpointSettings",
    "EarlyStoppingSettings",
    "MemberSettings",
    "NetworkSettings",
    "Recipe",
    "ReduceOnPlateauSettings",
    "SplitSettings",
    "TrainingSettings",
    "load",
    "names",
]
