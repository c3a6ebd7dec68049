"""The searches on the page: what was tried, which settings mattered, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.search import record
from pipeline.search.record import SearchRecord, TrialRecord
from pipeline.search.text import result_lines

MOST_TRIALS = 100
"""The most trials in the table of a search: the best ones."""


@dataclass(frozen=True)
class SearchOnPage:
    """A search as the template shows it: its result in words, and a table of its trials."""

    record: SearchRecord
    lines: list[str]
    settings: list[str]
    trials: list[TrialRecord]

    def cells(self, trial: TrialRecord) -> list[str]:
        """Return the texts of a trial's row, the settings last."""
        value = "" if trial.value is None else f"{trial.value:.5f}"
        row = [f"{trial.number}", trial.state, value, f"{trial.epochs}", f"{trial.seconds:.0f}"]
        return row + [f"{trial.settings.get(key, '')}" for key in self.settings]


def read_all(runs: Path) -> tuple[list[SearchRecord], list[str]]:
    """Return the searches in the folder of runs, oldest first, and why others are left out."""
    found, problems = [], []
    for path in sorted((runs / record.FOLDER).glob(f"*/{record.RECORD_FILE}")):
        try:
            found.append(record.read(path.parent))
        except PipelineError as error:
            problems.append(str(error))
    return sorted(found, key=lambda one: (one.created_at, one.id)), problems


def on_page(searches: Sequence[SearchRecord]) -> list[SearchOnPage]:
    """Return the searches for the template."""
    return [_on_page(one) for one in searches]


def _on_page(search: SearchRecord) -> SearchOnPage:
    settings = sorted(search.space, key=lambda key: -search.importance.get(key, 0))
    order = ("completed", "pruned", "running", "interrupted", "failed")
    ranked = sorted(
        search.trials, key=lambda one: (order.index(one.state), -(one.value or 0), one.number)
    )
    return SearchOnPage(search, result_lines(search), settings, ranked[:MOST_TRIALS])
