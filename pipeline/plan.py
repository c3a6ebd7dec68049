"""Which networks a recipe asks for, in the order of their training."""

from pipeline.recipe import Recipe
from pipeline.runs import Member


def plan(recipe: Recipe) -> list[Member]:
    """Return the record of every network before its training; a hold-out counts as one fold.

    All folds come with the first seed, then all with the second: more seeds add members at the
    end and change none before, and the first seed's members predict every row.
    """
    folds = list(range(max(recipe.members.folds, 1))) * recipe.members.seeds
    return [
        Member(index=index, fold=fold, seed=recipe.seed, status="pending")
        for index, fold in enumerate(folds)
    ]
