"""What a search is asked for, and the recipes that it trains."""

from dataclasses import dataclass
from functools import cached_property

from pipeline import recipe as recipes
from pipeline.recipe import Recipe
from pipeline.recipe.keys import Settings, flatten
from pipeline.recipe.unused import DEPENDENCIES, unused
from pipeline.search.space import Choice, Space

LEAST_FOLDS = 5
"""Folds of the measurement at the end, where the recipe itself has none."""
ALONE: Settings = dict.fromkeys(
    ("members.folds", "members.hold_outs", "members.seeds", "members.required")
)
"""What unsets the recipe's number of networks."""


@dataclass(frozen=True)
class SearchPlan:
    """What a person gave: the variables RECIPE, SET, SEED, VARY, MINUTES and SEEDS."""

    recipe: str
    settings: str
    seed: int | None
    vary: str
    minutes: int
    seeds: int

    @cached_property
    def start(self) -> Recipe:
        """The recipe that the search begins with."""
        return recipes.load(self.recipe, self.settings, self.seed)

    def one_network(self, varied: Settings) -> Recipe:
        """Return the recipe of a trial: one network, on one hold-out."""
        return self._load({**ALONE, **self._effective(varied)})

    def networks(self, count: int) -> Recipe:
        """Return the recipe of `count` trials as one run, to plan how they share the machine."""
        return self._load({**ALONE, "members.seeds": count})

    def check(self, key: str, value: object, space: Space) -> Recipe:
        """Return the recipe of a trial where one setting of the space has a value.

        Raises PipelineError if the value is not allowed, or has no effect whatever the others are.
        """
        varied = {key: value}
        dependency = DEPENDENCIES.get(key)
        if dependency and isinstance(switch := space.get(dependency.switch), Choice):
            on = [one for one in switch.values if one in dependency.values]
            varied |= dict.fromkeys([dependency.switch], on[0]) if on else {}
        return self._load({**varied, **ALONE})

    def whole(self, varied: Settings) -> Recipe:
        """Return the recipe with some settings changed, for all of its networks."""
        return self._load(self._effective(varied))

    def measured(self, varied: Settings, number: int) -> Recipe:
        """Return the recipe for the measurement's run of this number, with a seed of its own.

        Its folds are drawn with another seed than the search's hold-out.
        """
        split_seed = (self.start.split.seed + 1) % 2**32
        split = {"split.validation_fraction": None, "split.seed": split_seed}
        changed = {**self._effective(varied), **ALONE, **split, "members.folds": self.folds}
        return self._load(changed, self.measured_seeds[number])

    @property
    def measured_seeds(self) -> list[int]:
        """The seeds of the measurement's runs."""
        return [self.start.seed + 1 + number for number in range(self.seeds)]

    @property
    def folds(self) -> int:
        """The number of folds of the measurement."""
        return self.start.members.folds or LEAST_FOLDS

    def _effective(self, varied: Settings) -> Settings:
        """Return drawn settings without those that others of them switch off."""
        own = flatten(self.start.model_dump(exclude={"name"}).items(), self.start.name)
        without_effect = unused(own | varied)
        return {key: value for key, value in varied.items() if key not in without_effect}

    def _load(self, varied: Settings, seed: int | None = None) -> Recipe:
        seed = self.start.seed if seed is None else seed
        return recipes.load(self.recipe, self.settings, seed, varied | {"seed": seed}, "VARY")
