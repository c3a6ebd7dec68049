"""Recipes: TOML files with every setting that shapes a run."""

from pipeline.recipe.grid import MOST_COMBINATIONS, parse_grid
from pipeline.recipe.loading import load, names
from pipeline.recipe.schema import (
    AugmentationSettings,
    CheckpointSettings,
    PredictionSettings,
    Recipe,
    SplitSettings,
    TrainingSettings,
)
from pipeline.recipe.writing import as_toml

__all__ = [
    "MOST_COMBINATIONS",
    "AugmentationSettings",
    "CheckpointSettings",
    "PredictionSettings",
    "Recipe",
    "SplitSettings",
    "TrainingSettings",
    "as_toml",
    "load",
    "names",
    "parse_grid",
]
