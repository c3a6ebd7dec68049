"""Recipes: TOML files with every setting that shapes a run."""

from pipeline.recipe.loading import RECIPES_FOLDER, load, names
from pipeline.recipe.schema import (
    AugmentationSettings,
    CheckpointSettings,
    EarlyStoppingSettings,
    MemberSettings,
    NetworkSettings,
    PredictionSettings,
    Recipe,
    ReduceOnPlateauSettings,
    ScheduleSettings,
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
    "PredictionSettings",
    "Recipe",
    "ReduceOnPlateauSettings",
    "ScheduleSettings",
    "SplitSettings",
    "TrainingSettings",
    "load",
    "names",
]
