"""Which networks a recipe asks for, and how many of them are trained at the same time."""

import math
from dataclasses import dataclass

from pipeline.common.errors import PipelineError
from pipeline.recipe import Recipe
from pipeline.recipe.spelling import suggestion
from pipeline.runs import Member

EXECUTORS = {
    "auto": "processes, where there are several members and room for two at once; else serial",
    "serial": "one member after another, in this process",
    "processes": "members side by side on this machine, each in its own process",
    "ray": "members as tasks of a Ray cluster",
    "kaggle": "all members on a GPU of Kaggle's, in a kernel",
}
"""What `EXECUTOR` may be, and what each word means."""


@dataclass(frozen=True)
class Arrangement:
    """Where members are trained, how many at once, and what each of them may use.

    `threads` are TensorFlow's per operation, None for as many as there are cores. `gpus` is the
    share of a GPU, 0 to 1, None where Ray's cluster decides.
    """

    executor: str
    at_once: int
    threads: int | None
    gpus: float | None

    def describe(self) -> str:
        """Return the end of a sentence about the run. Empty for members trained one by one."""
        if self.executor == "processes":
            cores = f"{self.threads} CPU core{'s'[: (self.threads or 1) - 1]}"
            return f"; {self.at_once} at a time, {cores} each"
        return {"ray": "; as Ray tasks", "kaggle": "; in a kernel at Kaggle"}.get(self.executor, "")


def check_executor(name: str) -> None:
    """Raise PipelineError unless `name` is a value of `EXECUTOR`."""
    if name not in EXECUTORS:
        hint = suggestion(name, EXECUTORS)
        raise PipelineError(f"EXECUTOR is {name!r}{hint}; use one of {', '.join(EXECUTORS)}")


def planned_members(recipe: Recipe) -> list[Member]:
    """Return the record of every member before its training. A hold-out counts as a fold.

    All folds come with the first seed, then all with the second. So more seeds add members at the
    end and change none before, and the first seed's members predict every row.
    """
    folds = list(range(recipe.members.splits)) * recipe.members.seeds
    return [
        Member(index=index, fold=fold, seed=recipe.seed, status="pending")
        for index, fold in enumerate(folds)
    ]


def fixed_threads(recipe: Recipe) -> int | None:
    """Return TensorFlow's threads per operation that the recipe fixes, None if the cores do."""
    return recipe.members.cpus or (1 if recipe.training.deterministic else None)


def arrange(executor: str, recipe: Recipe, cores: int, gpus: int) -> Arrangement:
    """Resolve the automatic settings of the recipe and the executor on this machine.

    The result depends on all of the run's members, done or not: a run that continues has the
    threads that it began with. On a machine with GPUs each member has one, or its share of one.
    """
    settings, members, fixed = recipe.members, recipe.members.count, fixed_threads(recipe)
    share = (1.0 if settings.gpus is None else settings.gpus) if gpus else 0.0
    if executor == "ray":
        return Arrangement("ray", members, fixed or 1, settings.gpus)
    if executor == "kaggle":
        return Arrangement("kaggle", members, None, None)
    room = gpus * math.floor(1 / share) if share else cores // (fixed or 1)
    at_once = max(1, min(members, room))
    if executor == "processes" or (executor == "auto" and at_once > 1):
        return Arrangement("processes", at_once, fixed or max(1, cores // at_once), share)
    return Arrangement("serial", 1, fixed, share)
