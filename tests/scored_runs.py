"""Finished runs with stored probabilities, and a finished search, which nothing has trained."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, RenderableType

from pipeline.competitions import submission
from pipeline.competitions.ledger import Upload
from pipeline.runs import Checkpoint, Member, Run, RunStore, Scores
from pipeline.search.record import Measurement, SearchRecord, TrialRecord
from tests.alone import average_record, training_record

LABELS = np.tile(np.arange(10, dtype=np.uint8), 40)


def probabilities(wrong: Sequence[int]) -> NDArray[np.float32]:
    """Probabilities of 0.9 for the right digit, or for the next digit in the rows `wrong`."""
    table = np.full((len(LABELS), 10), 0.1 / 9, np.float32)
    digits = LABELS.astype(int)
    digits[[*wrong]] = (digits[[*wrong]] + 1) % 10
    table[np.arange(len(LABELS)), digits] = 0.9
    return table


class ScoredRuns:
    """Makes runs in the folder `folder`, each of another recipe unless they share `batch_size`."""

    def __init__(self, folder: Path) -> None:
        self.store = RunStore(folder)
        self._made = 0

    def __call__(
        self,
        name: str,
        wrong: Sequence[int],
        checkpoints: int = 1,
        batch_size: int | None = None,
        seed: int = 0,
        recipe_name: str = "quick",
        **changes: object,
    ) -> Run:
        """Make a run that predicts the rows `wrong` of 400 wrongly, and 20 test rows."""
        self._made += 1
        training = {"batch_size": batch_size or 1_000 + self._made}
        recipe = {"name": recipe_name, "seed": seed, "training": training}
        record = {"status": "done", "recipe_name": recipe_name, **changes}
        if "parents" in changes:
            run = self.store.create(average_record(name, **record))
        else:
            run = self.store.create(
                training_record(name, **{"recipe": recipe, "seed": seed, **record})
            )
        rows = np.arange(len(LABELS))
        run.save_arrays("validation", rows=rows, labels=LABELS, probabilities=probabilities(wrong))
        run.save_arrays("test", rows=rows[:20], probabilities=probabilities(wrong)[:20])
        saved = Checkpoint(file="a.keras", epoch=1, val_accuracy=0.9, val_loss=0.1)
        run.record.members = [
            Member(index=0, seed=seed, epochs=7, seconds=60, checkpoints=[saved] * checkpoints)
        ]
        run.record.timings = {"training_seconds": 90, "ensemble_seconds": 30}
        run.record.created_at = f"2026-01-02T03:04:{self._made:02}+00:00"
        # Deliberately wrong: the comparison must not use it.
        run.record.scores = Scores(
            validation_accuracy=1, validation_rows=1, interval=(0, 1), log_loss=0
        )
        run.save()
        return run


def keep(run: Run, start: int, end: int) -> None:
    """Keep only these validation rows of a run, as a hold-out or a failed fold does."""
    stored = run.load_arrays("validation")
    run.save_arrays("validation", **{name: array[start:end] for name, array in stored.items()})
    run.save()


def upload(wrong: Sequence[int], public: float | None, **changes: object) -> Upload:
    """An upload of the CSV of a run that predicts the rows `wrong` wrongly."""
    labels = probabilities(wrong)[:20].argmax(axis=1)
    values = {
        "run": "any",
        "sha256": hashlib.sha256(submission.content(labels)).hexdigest(),
        "competition": "practice",
        "token": "t",
        "message": "m",
        "submitted_at": "2026-01-02",
        "public_score": public,
    }
    return Upload.model_validate({**values, **changes})


def printed(parts: Sequence[RenderableType], width: int = 80) -> str:
    """What the parts of a comparison look like on a terminal of this width."""
    file = io.StringIO()
    console = Console(width=width, file=file, highlight=False, markup=False)
    for part in parts:
        console.print(part)
    return file.getvalue()


def write_search(folder: Path, reason: str) -> None:
    """Write a search whose winner was measured and is better."""
    rate = "training.learning_rate"
    figures = [(0, 0.99, "completed"), (1, 0.995, "completed"), (2, 0.98, "pruned")]
    trials = [
        TrialRecord.model_validate(
            {"number": number, "value": value, "state": state, "settings": {rate: number / 100}}
        )
        for number, value, state in figures
    ]
    trials.append(TrialRecord(number=3, state="failed", reason=reason, settings={rate: 1e25}))
    measured = Measurement(
        trial=1,
        settings=trials[1].settings,
        seeds=[1],
        folds=5,
        start_runs=["a-s0"],
        winner_runs=["b-s0"],
        rows=400,
        start_accuracy=0.98,
        winner_accuracy=0.99,
        interval=(0.002, 0.018),
        p_value=0.01,
    )
    folder.mkdir(parents=True)
    SearchRecord(
        id="quick-1",
        recipe_name="quick",
        rows=90,
        space={rate: "0 to 1", "network.dropout": "0 to 0.6"},
        trials=trials,
        importance={"network.dropout": 0.75, rate: 0.25},
        measurements=[measured],
        recipe_file="quick_found.toml",
    ).save(folder)
