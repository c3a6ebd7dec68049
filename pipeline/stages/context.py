"""What every stage of one command shares: the request, the folders, and the data, read once."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import dataset, sources
from pipeline.competition import Competition, DataFiles
from pipeline.dataset import Dataset
from pipeline.digits import Digits
from pipeline.errors import PipelineError
from pipeline.ledger import Ledger
from pipeline.progress import Report
from pipeline.recipe import Recipe
from pipeline.runs import Run, RunStore
from pipeline.split import Split, hold_out


@dataclass(frozen=True)
class Request:
    """What a person asked for: the Makefile's variables, checked.

    `runs` are ids or unique beginnings from `RUN`; where it is empty, the run is the one that
    the recipe, the data and the code determine. Only then does the recipe matter.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(name="bn_cnn"))
    source: str = "auto"
    practice_seed: int = 0
    runs: tuple[str, ...] = ()
    message: str = ""
    force: bool = False


class Context:
    """One request at work in the folder `root`, which holds data/, runs/ and submissions/.

    Everything is read when it is first asked for, and then kept.
    """

    def __init__(self, root: Path, request: Request, report: Report) -> None:
        self.request = request
        self.report = report
        self.data_folder = root / "data"
        self.submissions_folder = root / "submissions"
        self.store = RunStore(root / "runs")
        self.ledger = Ledger(self.submissions_folder / "ledger.csv")

    @cached_property
    def chosen_runs(self) -> list[Run]:
        """The runs that `RUN` names. Raises PipelineError for one that is not there."""
        found = [self.store.find(prefix) for prefix in self.request.runs]
        return list({run.id: run for run in found}.values())  # each but once

    @cached_property
    def competition(self) -> Competition:
        """The competition of `SOURCE`, or with `auto` that of the runs named."""
        source, seed = self.request.source, self.request.practice_seed
        if source == "auto" and self.chosen_runs:
            source = self.chosen_runs[0].record.source
            seed = self.chosen_runs[0].record.practice_seed
        return sources.choose(source, seed, self.data_folder, self.report)

    @cached_property
    def files(self) -> DataFiles:
        """The competition's files, fetched if need be."""
        return self.competition.fetch()

    @cached_property
    def dataset(self) -> Dataset:
        """The digits in those files."""
        return dataset.read(self.files)

    @cached_property
    def split(self) -> Split:
        """The recipe's split of the data, made once and then read back."""
        settings = self.request.recipe.split
        return self._hold_out(settings.validation_fraction, settings.seed)

    @property
    def split_path(self) -> Path:
        """Where the recipe's split of the data is kept."""
        settings = self.request.recipe.split
        return self._split_path(settings.validation_fraction, settings.seed)

    def split_of(self, run: Run) -> Split:
        """Return the split that a run was trained with, which may be another recipe's.

        Raises PipelineError if the data do not give that split any more.
        """
        settings = run.record.recipe["split"]
        split = self._hold_out(settings["validation_fraction"], settings["seed"])
        if split.fingerprint != run.record.split_fingerprint:
            raise PipelineError(
                f"run {run.id} has the split {run.record.split_fingerprint[:12]}, but the data of "
                f"SOURCE give {split.fingerprint[:12]}; give the SOURCE and PRACTICE_SEED of the "
                "run, or train it again"
            )
        return split

    def _split_path(self, fraction: float, seed: int) -> Path:
        return (
            self.data_folder / "splits" / f"{self.dataset.fingerprint[:12]}-{fraction}-{seed}.npz"
        )

    def _hold_out(self, fraction: float, seed: int) -> Split:
        """Read a split back, or make it where it is not there or damaged."""
        path = self._split_path(fraction, seed)
        if path.exists():
            try:
                return Split.load(path, self.dataset.fingerprint)
            except PipelineError as error:
                self.report(f"{error}: splitting again")
        split = hold_out(self.dataset.labelled.labels, fraction, seed, self.dataset.fingerprint)
        split.save(path)
        return split


def select(labelled: Digits, rows: NDArray[np.int64]) -> Digits:
    """Return the given rows of labelled digits."""
    return Digits(images=labelled.images[rows], labels=labelled.labels[rows])
