"""What the page shows of one run below the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pipeline.common.errors import PipelineError
from pipeline.data.spec import SPEC
from pipeline.evaluation import png_files
from pipeline.evaluation.audit import suspects
from pipeline.evaluation.comparison.model import RunRow
from pipeline.evaluation.report import settings
from pipeline.evaluation.report.digits import MOST_PICTURES, DigitPictures
from pipeline.evaluation.report.settings import Facts
from pipeline.evaluation.statistics.calibration import reliability
from pipeline.runs import Arrays, Member, Run

MOST_MISTAKES = 24
"""The most mistakes of a run that are drawn."""


@dataclass(frozen=True)
class ClassScores:
    """The scores of one digit: `rows` have it as their label; the others are in [0, 1]."""

    digit: int
    rows: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ConfusionCell:
    """How many rows with one label were read as one digit; `share` is that of the most errors."""

    count: int
    right: bool
    share: float


@dataclass(frozen=True)
class Mistake:
    """A row that was read wrongly; `picture` is the place of its digit in the page's list."""

    row: int
    label: int
    read_as: int
    certainty: float
    picture: int


@dataclass(frozen=True)
class Suspect:
    """A row whose label looks wrong; `picture` is the place of its digit, None without the data."""

    row: int
    label: int
    read_as: int
    probability: float
    label_probability: float
    picture: int | None


@dataclass
class RunDetails:
    """The section of one run; what cannot be had is empty, and `problems` say why.

    `reliability` has a list for each bin of the confidence: mean confidence, accuracy, the ends of
    its 95 % interval, rows. `mistakes_picture` is a PNG in Base64, in place of `mistakes`.
    """

    run: str
    state: str
    reason: str
    row: RunRow | None
    origin: Facts
    recipe: Facts
    machine: Facts
    members: list[Member]
    problems: list[str]
    rows: int = 0
    wrong: int = 0
    confusion: list[list[ConfusionCell]] = field(default_factory=list)
    classes: list[ClassScores] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    mistakes_picture: str = ""
    suspects: list[Suspect] = field(default_factory=list)
    suspicious: int = 0
    reliability: list[list[float]] = field(default_factory=list)


def describe(
    run: Run,
    row: RunRow | None,
    unreadable: Mapping[str, str],
    submissions: Path,
    pictures: DigitPictures,
) -> RunDetails:
    """Return the section of a run; `row` is None for a run without scores.

    `unreadable` says which runs are damaged, `submissions` is the folder with the heatmaps.
    """
    problems = [unreadable[run.id]] if run.id in unreadable else []
    details = RunDetails(
        run=run.id,
        state=run.state(),
        reason=run.record.reason,
        row=row,
        origin=settings.origin_facts(run.record),
        recipe=settings.recipe_facts(run.record),
        machine=settings.machine_facts(run.record),
        members=run.members(),
        problems=problems + _damaged_pictures(run, submissions),
    )
    if row:
        try:
            _add_rows(details, run, run.load_arrays("validation"), pictures)
            _add_suspects(details, run, pictures)
        except PipelineError as error:
            details.problems.append(str(error))
    return details


def _add_suspects(details: RunDetails, run: Run, pictures: DigitPictures) -> None:
    """Add the least probable labels of a run that `make audit` has judged."""
    table = suspects.read(run)
    if table is None or not len(table):
        return
    details.suspicious = int(table["suspicious"].sum())
    first = table[:MOST_MISTAKES]
    numbers: Sequence[int | None] = [None] * len(first)
    numbers = pictures.numbers(run, first["row"].to_numpy()) or numbers
    details.suspects = [
        Suspect(
            row=int(one.row),  # type: ignore[arg-type]
            label=int(one.label),  # type: ignore[arg-type]
            read_as=int(one.predicted),  # type: ignore[arg-type]
            probability=float(one.probability),  # type: ignore[arg-type]
            label_probability=float(one.label_probability),  # type: ignore[arg-type]
            picture=number,
        )
        for one, number in zip(first.itertuples(), numbers, strict=True)
    ]


def _damaged_pictures(run: Run, submissions: Path) -> list[str]:
    curves = png_files.curve_files(run)
    paths = [submissions / f"{run.id}.png", png_files.mistakes_file(run), *curves]
    return [
        f"{path} is damaged; make submission RUN={run.id} draws it again"
        for path in paths
        if path.exists() and not png_files.is_whole(path)
    ]


def _add_rows(details: RunDetails, run: Run, stored: Arrays, pictures: DigitPictures) -> None:
    """Add what follows from the validation rows."""
    labels, probabilities = stored["labels"], stored["probabilities"]
    read_as = probabilities.argmax(axis=1)
    details.rows, details.wrong = len(labels), int((read_as != labels).sum())
    details.confusion = _confusion(labels, read_as)
    details.classes = _classes(labels, read_as)
    details.reliability = [
        [one.confidence, one.accuracy, *one.interval, one.rows]
        for one in reliability(labels, probabilities)
    ]
    wrong = np.flatnonzero(read_as != labels)
    certainty = probabilities.max(axis=1)
    worst = wrong[np.argsort(-certainty[wrong], kind="stable")][:MOST_MISTAKES]
    numbers = pictures.numbers(run, stored["rows"][worst])
    if numbers is None:
        details.mistakes_picture = _stored_picture(details, run, pictures)
        return
    details.mistakes = [
        Mistake(
            row=int(stored["rows"][one]),
            label=int(labels[one]),
            read_as=int(read_as[one]),
            certainty=float(certainty[one]),
            picture=number,
        )
        for one, number in zip(worst, numbers, strict=True)
    ]


def _stored_picture(details: RunDetails, run: Run, pictures: DigitPictures) -> str:
    """Return the run's picture of its worst mistakes, or empty text and why there is none."""
    path = png_files.mistakes_file(run)
    absent = "the data of this run are not on this machine"
    if not png_files.is_whole(path):
        details.problems.append(f"{absent}, nor is {path}: no mistakes are drawn")
        return ""
    picture = pictures.stored(path)
    if not picture:
        details.problems.append(
            f"{absent}, and the page has room for {MOST_PICTURES} pictures of such runs: the "
            f"mistakes are in {path}"
        )
    return picture


def _confusion(
    labels: NDArray[np.integer], read_as: NDArray[np.integer]
) -> list[list[ConfusionCell]]:
    counts = confusion_matrix(labels, read_as, labels=range(SPEC.classes))
    most = max(int(counts[~np.eye(SPEC.classes, dtype=bool)].max()), 1)
    return [
        [
            ConfusionCell(int(count), label == digit, 0 if label == digit else count / most)
            for digit, count in enumerate(row)
        ]
        for label, row in enumerate(counts)
    ]


def _classes(labels: NDArray[np.integer], read_as: NDArray[np.integer]) -> list[ClassScores]:
    """Return the scores of every digit; one that is never read, or never there, has 0."""
    digits = range(SPEC.classes)
    table = precision_recall_fscore_support(labels, read_as, labels=digits, zero_division=0)
    return [
        ClassScores(digit, int(rows), float(precision), float(recall), float(f1))
        for digit, precision, recall, f1, rows in zip(digits, *table, strict=True)
    ]
