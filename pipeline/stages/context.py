"""What all stages of a command share: the request, the folders, and the data, read once."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.competitions import sources
from pipeline.competitions.kaggle.journal import Journal
from pipeline.competitions.ledger import Ledger
from pipeline.competitions.protocol import Competition, Source
from pipeline.competitions.sources import Origin
from pipeline.data.dataset import DataFiles, Dataset, open_dataset
from pipeline.data.spec import SPEC
from pipeline.data.split import Split, fingerprint, hold_out, k_folds
from pipeline.recipe import Recipe
from pipeline.runs import Run, RunStore
from pipeline.stages.request import Request
from pipeline.training.events import OnEvent

Watch = Callable[[Run], OnEvent]


def _watch_nothing(run: Run) -> OnEvent:
    return lambda event: None


class Context:
    """A request in the folder `root`, which holds data/, runs/ and submissions/.

    Everything is read when it is first used, and then kept. `watch` returns what gets the events
    of a run in training, none by default.
    """

    def __init__(
        self, root: Path, request: Request, report: Report, watch: Watch = _watch_nothing
    ) -> None:
        self.request = request
        self.watch = watch
        self.report = report
        self._root = root
        self.data_folder = root / "data"
        self.submissions_folder = root / "submissions"
        self.store = RunStore(root / "runs", report)
        self.ledger = Ledger(self.submissions_folder / "ledger.csv")

    def with_recipe(self, recipe: Recipe) -> "Context":
        """Return the context of the same request with another recipe."""
        request = replace(self.request, recipe=recipe)
        context = Context(self._root, request, self.report, self.watch)
        context.origin = self.origin
        if "dataset" in vars(self):  # read once for all recipes
            context.files, context.dataset = self.files, self.dataset
        return context

    @cached_property
    def chosen_runs(self) -> list[Run]:
        """The runs that `RUN` names. Raises PipelineError for one that is not there."""
        runs = [self.store.find(prefix) for prefix in self.request.runs]
        return list({run.id: run for run in runs}.values())  # each only once

    def only_run(self, target: str, kind: str = "run") -> Run:
        """Return the one run that `RUN` names. Raises PipelineError for none, or several.

        `target` is the Make target, and `kind` says which runs it takes.
        """
        names = self.request.runs
        if len(names) != 1:
            given = repr(" ".join(names)) if names else "left out"
            raise PipelineError(
                f"RUN is {given}; make {target} takes one {kind}: give its id, or a unique "
                "beginning of it (make runs lists them)"
            )
        return self.chosen_runs[0]

    @cached_property
    def origin(self) -> Origin:
        """What `SOURCE` stands for; `auto` with `RUN` means the source of the runs named."""
        source, seed = self.request.source, self.request.practice_seed
        if source == "auto" and self.chosen_runs:
            record = self.chosen_runs[0].record
            if seed not in (0, record.practice_seed):
                raise PipelineError(
                    f"PRACTICE_SEED is {seed}, but run {record.id} is of {record.source}, seed "
                    f"{record.practice_seed}; leave out PRACTICE_SEED, or RUN to train another run"
                )
            source, seed = record.source, record.practice_seed
        if source == "auto" and self.request.executor == "kaggle":
            source = "kaggle"  # without credentials, that is the mistake to name
        journal = Journal(self.submissions_folder / ".handed-to-kaggle")
        return sources.choose(source, seed, self.data_folder, journal, self.report)

    @property
    def source(self) -> Source:
        """Where the digits come from."""
        return self.origin.source

    @property
    def competition(self) -> Competition | None:
        """Where the pipeline uploads a submission; None if it cannot."""
        return self.origin.competition

    @cached_property
    def files(self) -> DataFiles:
        """The source's files, fetched if necessary."""
        return self.source.fetch()

    @cached_property
    def dataset(self) -> Dataset:
        """The digits in those files."""
        return open_dataset(self.files)

    @cached_property
    def splits(self) -> list[Split]:
        """The recipe's splits of the data, one a fold or hold-out, made once, then read back."""
        return self._splits(self.request.recipe)

    @property
    def split_paths(self) -> list[Path]:
        """Where the recipe's splits of the data are kept."""
        return self._split_paths(self.request.recipe)

    def splits_of(self, run: Run) -> list[Split]:
        """Return the splits that a run was trained with, which may be another recipe's.

        Raises PipelineError if the present data give other splits.
        """
        splits = self._splits(run.training.recipe)
        present = fingerprint(splits)
        if present != run.record.split_fingerprint:
            raise PipelineError(
                f"run {run.id} has the split {run.record.split_fingerprint[:12]}, but the data of "
                f"SOURCE give {present[:12]}; give the SOURCE and PRACTICE_SEED of the run, or "
                "train it again"
            )
        return splits

    def _split_paths(self, recipe: Recipe) -> list[Path]:
        data, folds, settings = self.dataset.fingerprint[:12], recipe.members.folds, recipe.split
        if folds:
            names = [f"fold-{one}-of-{folds}-{settings.seed}" for one in range(folds)]
        else:
            names = [f"{settings.validation_fraction}-{seed}" for seed in recipe.hold_out_seeds]
        return [self.data_folder / "splits" / f"{data}-{name}.npz" for name in names]

    def _splits(self, recipe: Recipe) -> list[Split]:
        """Read splits back, or make them where one is not there or damaged."""
        paths, data = self._split_paths(recipe), self.dataset.fingerprint
        if all(path.exists() for path in paths):
            try:
                return [Split.load(path, data) for path in paths]
            except PipelineError as error:
                self.report(f"{error}: splitting again")
        labels = self.dataset.labelled.labels
        absent = [str(digit) for digit in range(SPEC.classes) if digit not in labels]
        if absent:
            self.report(
                f"{printable(self.files.train)}: has no row with the digit {' or '.join(absent)}, "
                "so that no network learns it"
            )
        if recipe.members.folds:
            splits = k_folds(labels, recipe.members.folds, recipe.split.seed, data)
        else:
            fraction = recipe.split.validation_fraction
            splits = [hold_out(labels, fraction, seed, data) for seed in recipe.hold_out_seeds]
        for split, path in zip(splits, paths, strict=True):
            split.save(path)
        return splits
