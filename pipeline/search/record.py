"""What a search leaves for people and for the report: plain data in search.json and trials.csv."""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.common import files
from pipeline.common.errors import PipelineError
from pipeline.common.text import printable
from pipeline.runs.fields import Count, Fact, NonNegative, Number, RunId, Share, Text, Time

FOLDER = "searches"
"""In runs/: one folder per search."""
RECORD_FILE = "search.json"
TRIALS_FILE = "trials.csv"
LARGEST_RECORD = 20_000_000  # bytes

TrialState = Literal["running", "completed", "pruned", "failed", "interrupted"]


class TrialRecord(BaseModel):
    """One trial: a network trained with the settings drawn for it.

    `value` is its validation accuracy, for a trial that is not complete that of its best epoch so
    far. `settings` are those that the search varies, by dotted key. `reason` says why it failed.
    Trial 0 has the recipe's own settings.
    """

    model_config = ConfigDict(extra="forbid")

    number: Count
    state: TrialState
    value: Share | None = None
    epochs: Count = 0
    seconds: NonNegative = 0
    settings: dict[Text, Fact] = {}
    reason: Text = ""


class Measurement(BaseModel):
    """The winner of a search against the recipe that it began with, with new seeds and folds.

    Both were trained by the same seeds and on the same folds. The accuracies are out-of-fold, on
    the `rows` labelled rows by which the search did not choose settings. Each network's checkpoints
    are chosen by its fold, on both sides. `p_value` is two-sided, and
    multiplied by the number of measurements so far.
    """

    model_config = ConfigDict(extra="forbid")

    trial: Count
    settings: dict[Text, Fact]
    seeds: list[Count]
    folds: Count
    start_runs: list[RunId]
    winner_runs: list[RunId]
    rows: Count
    start_accuracy: Share
    winner_accuracy: Share
    interval: tuple[Number, Number]
    p_value: Share

    @property
    def difference(self) -> float:
        """The winner's accuracy minus that of the start."""
        return self.winner_accuracy - self.start_accuracy

    @property
    def is_better(self) -> bool:
        """Whether the winner is better by more than chance: p < 0.05."""
        return self.difference > 0 and self.p_value < 0.05


class SearchRecord(BaseModel):
    """A search: what it varies, its trials so far, and what became of its winners.

    `minutes` were spent on trials. `rows` validation rows choose among trials. `importance` says
    which settings mattered, as shares that sum to 1. `recipe_file` is the winner's.
    """

    model_config = ConfigDict(extra="forbid")

    id: RunId
    recipe_name: Text
    command: str = ""
    created_at: Time = ""
    minutes: NonNegative = 0
    rows: Count = 0
    space: dict[Text, Text] = {}
    trials: list[TrialRecord] = []
    importance: dict[Text, Share] = {}
    measurements: list[Measurement] = []
    recipe_file: Text = ""

    @property
    def start(self) -> TrialRecord | None:
        """The trial with the recipe's own settings, None before it is completed."""
        return next((one for one in self.completed if not one.number), None)

    @property
    def completed(self) -> list[TrialRecord]:
        """The trials that were trained to their end, best first, the earlier of equal ones."""
        done = [one for one in self.trials if one.state == "completed" and one.value is not None]
        return sorted(done, key=lambda one: (-(one.value or 0), one.number))

    def measurement_of(
        self, trial: TrialRecord, seeds: list[int] | None = None
    ) -> Measurement | None:
        """Return the latest measurement of a trial's settings, with some seeds or any, if any."""
        found = [
            one
            for one in self.measurements
            if one.settings == trial.settings and seeds in (None, one.seeds)
        ]
        return found[-1] if found else None

    def count(self, state: TrialState) -> int:
        """Return how many trials are in a state."""
        return sum(one.state == state for one in self.trials)

    def save(self, folder: Path) -> None:
        """Write search.json and trials.csv into the search's folder, each wholly or not at all."""
        rows = [{**one.model_dump(exclude={"settings"}), **one.settings} for one in self.trials]
        with files.replacing(folder / TRIALS_FILE) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)
        files.write_text(folder / RECORD_FILE, self.model_dump_json(indent=2) + "\n")


def read(folder: Path) -> SearchRecord:
    """Return the record of the search in a folder. Raises PipelineError where it is damaged."""
    path = folder / RECORD_FILE
    try:
        return SearchRecord.model_validate_json(files.read_bytes(path, LARGEST_RECORD))
    except OSError as error:
        problem = error.strerror or str(error)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    raise PipelineError(
        f"{path} cannot be read ({printable(problem)}); delete it, and the same make search writes "
        "it again"
    )
