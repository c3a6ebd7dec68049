"""What `SOURCE` means: Kaggle, the practice competition, MNIST, or a folder of downloaded CSVs."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.common.errors import PipelineError
from pipeline.common.progress import Report
from pipeline.common.text import printable
from pipeline.competitions import submission
from pipeline.competitions.kaggle.credentials import exposure, find_credentials
from pipeline.competitions.kaggle.download import KaggleSource
from pipeline.competitions.kaggle.journal import Journal
from pipeline.competitions.kaggle.upload import KaggleCompetition
from pipeline.competitions.practice.competition import PracticeCompetition
from pipeline.competitions.practice.source import PracticeSource, practice_key
from pipeline.competitions.protocol import Competition, Source
from pipeline.data import mnist
from pipeline.data.dataset import DataFiles
from pipeline.data.spec import SPEC
from pipeline.recipe.spelling import suggestion

MNIST_FOLDER = Path(__file__).parents[2] / "data" / "mnist"

_KAGGLE, _PRACTICE, _MNIST = "kaggle", "practice", "mnist"
WORDS = ("auto", _KAGGLE, _PRACTICE, _MNIST)
"""What `SOURCE` may be, besides a folder."""

_NO_SUBMISSION = (
    f"SOURCE is {_MNIST}, whose test labels are public, so there is nothing to submit; make "
    "ensemble trains and prints the test accuracy, and SOURCE=practice or SOURCE=kaggle take "
    "submissions"
)


@dataclass(frozen=True)
class Origin:
    """Where the digits come from, and where a submission for them goes.

    `competition` is None if the pipeline cannot upload one. Then `refusal` says why none is made
    at all; it is empty if a person can upload the CSV by hand.
    """

    source: Source
    competition: Competition | None = None
    refusal: str = ""


@dataclass(frozen=True)
class FolderSource:
    """CSVs that a person downloaded in the browser."""

    folder: Path

    @property
    def location(self) -> str:
        """The folder's absolute path."""
        return str(self.folder.resolve())

    def fetch(self) -> DataFiles:
        """Return the paths of train.csv and test.csv. Raises PipelineError if one is missing."""
        train, test = self.folder / SPEC.train_file, self.folder / SPEC.test_file
        for path in (train, test):
            if not path.is_file():
                raise PipelineError(
                    f"SOURCE is {self.folder}, where there is no {path.name}; download both files "
                    f"from {SPEC.url}/data into it"
                )
        return DataFiles(train, test, full_size=False)


@dataclass(frozen=True)
class MnistSource:
    """MNIST's own 60,000 and 10,000 digits, with public test labels."""

    folder: Path
    location = _MNIST

    def fetch(self) -> DataFiles:
        """Return the paths of MNIST's files, which are part of the repository."""
        train = mnist.images_path(self.folder, mnist.TRAINING_PART)
        test = mnist.images_path(self.folder, mnist.TEST_PART)
        return DataFiles(train, test, form="idx")


def upload_by_hand(csv: Path) -> str:
    """Return how a person uploads `csv`, or why Kaggle would refuse it."""
    try:
        submission.check(csv)
    except PipelineError as error:
        return f"Kaggle would refuse this CSV: {error}"
    return f"upload {csv} at {SPEC.url}/submit, or set up Kaggle credentials and use SOURCE=kaggle"


def choose(
    source: str, practice_seed: int, data_folder: Path, journal: Journal, report: Report
) -> Origin:
    """Return what `source` stands for, and report it.

    `source` is "auto", "kaggle", "practice", "mnist" or a folder; "auto" means Kaggle if
    credentials are found, else practice. `practice_seed` selects the permutation of the practice
    competition; each has its own folder below `data_folder`. `journal` is that of submissions to
    Kaggle. Raises PipelineError for any other `source`, and for a practice seed other than 0
    without the practice competition.
    """
    kind, reason, hint = source, "", ""
    if source == "auto":
        credentials = find_credentials()
        kind, reason = _KAGGLE, f", with {credentials}"
        if credentials is None:
            kind, reason = _PRACTICE, ", as no Kaggle credentials were found"
            hint = "; make doctor says how to set them up"
    if kind == _PRACTICE:
        report(f"source: the practice competition{reason} (PRACTICE_SEED={practice_seed}{hint})")
        folder = data_folder / practice_key(practice_seed)
        practice = PracticeSource(folder, MNIST_FOLDER, practice_seed)
        return Origin(practice, PracticeCompetition(practice))
    if practice_seed:
        raise PipelineError(
            f"PRACTICE_SEED is {practice_seed}, but SOURCE={source} is not the practice "
            "competition here; add SOURCE=practice, or leave out PRACTICE_SEED"
        )
    if kind == _KAGGLE:
        warning = exposure()
        report(f"source: Kaggle{reason}{f' ({warning})' if warning else ''}")
        kaggle = KaggleSource(folder=data_folder / _KAGGLE, report=report)
        return Origin(kaggle, KaggleCompetition(report=report, journal=journal))
    if kind == _MNIST:
        labelled, others = f"{mnist.TRAINING_ROWS:,}", f"{mnist.TEST_ROWS:,}"
        report(f"source: MNIST, {labelled} labelled digits and {others} to test on")
        return Origin(MnistSource(MNIST_FOLDER), refusal=_NO_SUBMISSION)
    folder = _folder(source)
    report(f"source: the folder {printable(folder)}")
    return Origin(FolderSource(folder))


def files_at_hand(source: str, practice_seed: int, data_folder: Path) -> DataFiles | None:
    """Return the files of a run's source if they are on this machine.

    `source` and `practice_seed` are as a run records them, `data_folder` is as in `choose`. Nothing
    is made or downloaded; what the files hold is not checked.
    """
    if source == _MNIST:
        return MnistSource(MNIST_FOLDER).fetch()
    folders = {_PRACTICE: data_folder / practice_key(practice_seed), _KAGGLE: data_folder / _KAGGLE}
    folder = folders.get(source) or Path(source)
    train, test = folder / SPEC.train_file, folder / SPEC.test_file
    # A pipe or a device in a person's folder would never end.
    if not (train.is_file() and test.is_file()):
        return None
    return DataFiles(train, test, full_size=source in folders)


def _folder(source: str) -> Path:
    """Return a person's own folder. Raises PipelineError if it is none, or has devices in it."""
    folder = Path(source)
    # Without a home folder, or with a name that no file can have, it is no folder either.
    with suppress(RuntimeError, ValueError, OSError):
        folder = folder.expanduser()
        if folder.is_dir():
            for path in (folder / name for name in SPEC.data_files):
                if path.exists() and not (path.is_file() or path.is_dir()):
                    raise PipelineError(
                        f"{printable(path)}: is a pipe or a device; it must be a file"
                    )
            return folder
    raise PipelineError(
        f"SOURCE is {printable(source)!r}{suggestion(source, WORDS)}; it must be "
        f"{', '.join(WORDS)}, or a folder that exists, with {SPEC.train_file} and {SPEC.test_file}"
    )
